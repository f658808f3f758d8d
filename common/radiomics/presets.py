"""Profiles that a study may name in place of writing one: PyRadiomics parameter files.

Each follows the IBSI's advice (Zwanenburg et al., Radiology 295:328, 2020; reporting
guidelines of the IBSI manual): isotropic voxels for 3D textures, a fixed bin width where
grey levels have a unit, normalisation where they have none, and a region cut to the
tissue. `padDistance` is written out although it is the default, for values of filters
depend on it.
"""

PRESETS = {
    "mr": """\
# MRI in arbitrary units: every image is brought to mean 0 and standard deviation 100, and
# voxels of a region beyond 3 standard deviations of it take no part.
imageType:
  Original: {}
  LoG: {sigma: [1.0, 2.0, 3.0]}
  Wavelet: {}
featureClass: {shape: , firstorder: , glcm: , glrlm: , glszm: , gldm: , ngtdm: }
setting:
  normalize: true
  normalizeScale: 100
  resampledPixelSpacing: [1, 1, 1]
  interpolator: sitkBSpline
  padDistance: 10
  resegmentRange: [-3, 3]
  resegmentMode: sigma
  binWidth: 5
  voxelArrayShift: 300
""",
    "mr_thick": """\
# The same for slices more than twice as thick as their pixels: in the plane only.
imageType: {Original: {}}
featureClass: {shape: , firstorder: , glcm: , glrlm: , glszm: , gldm: , ngtdm: }
setting:
  normalize: true
  normalizeScale: 100
  resampledPixelSpacing: [1, 1, 0]
  interpolator: sitkBSpline
  padDistance: 10
  force2D: true
  force2Ddimension: 0
  resegmentRange: [-3, 3]
  resegmentMode: sigma
  binWidth: 5
  voxelArrayShift: 300
""",
    "ct": """\
# CT in HU, soft tissue.
imageType:
  Original: {}
  LoG: {sigma: [1.0, 2.0, 3.0]}
  Wavelet: {}
featureClass: {shape: , firstorder: , glcm: , glrlm: , glszm: , gldm: , ngtdm: }
setting:
  resampledPixelSpacing: [1, 1, 1]
  interpolator: sitkBSpline
  padDistance: 10
  resegmentRange: [-1000, 400]
  resegmentMode: absolute
  binWidth: 25
  voxelArrayShift: 1000
""",
    "adc": """\
# ADC in 1e-6 mm2/s: no normalisation, and no voxel at or below 0.
imageType: {Original: {}}
featureClass: {shape: , firstorder: , glcm: , glrlm: , glszm: , gldm: , ngtdm: }
setting:
  resampledPixelSpacing: [1, 1, 1]
  interpolator: sitkBSpline
  padDistance: 10
  resegmentRange: [1, 4000]
  resegmentMode: absolute
  binWidth: 25
""",
}

UNITS = {"HU": (-1100.0, 3100.0), "1e-6 mm2/s": (200.0, 4000.0), "SUV": (0.0, 100.0)}
"""Lowest and highest believable median of a region, by the unit of its image."""
