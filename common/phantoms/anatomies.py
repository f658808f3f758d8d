"""Every kind of body a phantom can have. A new kind: one file, and one line here."""

from typing import Annotated

from pydantic import Field

from common.phantoms.liver_lesion import LiverLesion
from common.phantoms.neck import Neck
from common.phantoms.organ_lesion import OrganLesion
from common.phantoms.rectal_tumour import RectalTumour
from common.phantoms.rectum import Rectum

AnyAnatomy = Annotated[
    OrganLesion | RectalTumour | Rectum | Neck | LiverLesion, Field(discriminator="kind")
]
