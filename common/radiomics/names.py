"""Names that PyRadiomics 3.0.1 gives to image types, feature classes and features.

Written down here so that a study can be checked where PyRadiomics is not installed.
"""


def words(text: str) -> tuple[str, ...]:
    """Return the words of a text."""
    return tuple(text.split())


FEATURES: dict[str, tuple[str, ...]] = {
    "shape": words(
        "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn "
        "Maximum2DDiameterRow Maximum2DDiameterSlice Maximum3DDiameter MeshVolume "
        "MinorAxisLength Sphericity SurfaceArea SurfaceVolumeRatio VoxelVolume"
    ),
    "shape2D": words(
        "Elongation MajorAxisLength MaximumDiameter MeshSurface MinorAxisLength Perimeter "
        "PerimeterSurfaceRatio PixelSurface Sphericity"
    ),
    "firstorder": words(
        "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum "
        "MeanAbsoluteDeviation Mean Median Minimum Range RobustMeanAbsoluteDeviation "
        "RootMeanSquared Skewness TotalEnergy Uniformity Variance"
    ),
    "glcm": words(
        "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation "
        "DifferenceAverage DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 "
        "InverseVariance JointAverage JointEnergy JointEntropy MCC MaximumProbability "
        "SumAverage SumEntropy SumSquares"
    ),
    "glrlm": words(
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance "
        "HighGrayLevelRunEmphasis LongRunEmphasis LongRunHighGrayLevelEmphasis "
        "LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis RunEntropy "
        "RunLengthNonUniformity RunLengthNonUniformityNormalized RunPercentage RunVariance "
        "ShortRunEmphasis ShortRunHighGrayLevelEmphasis ShortRunLowGrayLevelEmphasis"
    ),
    "glszm": words(
        "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance "
        "HighGrayLevelZoneEmphasis LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis "
        "LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis SizeZoneNonUniformity "
        "SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
        "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance"
    ),
    "gldm": words(
        "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized "
        "DependenceVariance GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis "
        "LargeDependenceEmphasis LargeDependenceHighGrayLevelEmphasis "
        "LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis SmallDependenceEmphasis "
        "SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis"
    ),
    "ngtdm": ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength"),
}

# Not among "all features" of a class, but given when a file asks for them by name.
ON_REQUEST: dict[str, tuple[str, ...]] = {
    "shape": ("Compactness1", "Compactness2", "SphericalDisproportion"),
    "shape2D": ("SphericalDisproportion",),
    "firstorder": ("StandardDeviation",),
}

# PyRadiomics knows these names and then leaves the feature out with a line in its log.
WITHDRAWN: dict[str, dict[str, str]] = {
    "glcm": {
        "Dissimilarity": "DifferenceAverage",
        "Homogeneity1": "Id",
        "Homogeneity2": "Idm",
        "SumVariance": "ClusterTendency",
    },
    "gldm": {
        "GrayLevelNonUniformityNormalized": "firstorder Uniformity",
        "DependencePercentage": "the number 1",
    },
}

IMAGE_TYPES = (
    "Original",
    "LoG",
    "Wavelet",
    "Square",
    "SquareRoot",
    "Logarithm",
    "Exponential",
    "Gradient",
    "LBP2D",
    "LBP3D",
)

INTERPOLATORS = (
    "sitkNearestNeighbor",
    "sitkLinear",
    "sitkBSpline",
    "sitkGaussian",
    "sitkLabelGaussian",
    "sitkHammingWindowedSinc",
    "sitkCosineWindowedSinc",
    "sitkWelchWindowedSinc",
    "sitkLanczosWindowedSinc",
    "sitkBlackmanWindowedSinc",
)
