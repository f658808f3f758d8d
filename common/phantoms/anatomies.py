"""Every kind of body a phantom can have. A new kind: one file, and one line here."""

from common.phantoms.organ_lesion import OrganLesion

AnyAnatomy = OrganLesion
