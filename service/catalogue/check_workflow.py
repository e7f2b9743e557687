"""What must agree between the steps of one permit type, so that every application comes to its end."""

from collections.abc import Iterator

from service.catalogue.format import Action, PermitType, Step

Path = tuple[str | int, ...]
Finding = tuple[Path, str, str]
"""Where, the reason in Indonesian, the reason in English."""

ONWARD = {
    Action.FORWARD,
    Action.RECOMMEND,
    Action.SUBMIT_REPORT,
    Action.PAY,
    Action.INITIAL,
    Action.SIGN,
    Action.ISSUE,
}
"""Actions that take an application to its next step; a step without one is never left."""


def unknown(path: Path, name: object) -> Finding:
    return path, f"'{name}' tidak dikenal.", f"'{name}' is not known."


def check_workflow(permit_type: PermitType) -> Iterator[Finding]:
    """Find steps that cannot be reached, left, timed or signed."""
    steps = permit_type.steps
    signing = [index for index, step in enumerate(steps) if Action.SIGN in step.actions]
    if len(signing) != 1:
        yield (
            ("steps",),
            f"Harus ada tepat satu langkah penandatanganan; ada {len(signing)}.",
            f"There must be exactly one step that signs; there are {len(signing)}.",
        )
    if Action.RETURN_TO_PREVIOUS in steps[0].actions:
        yield (
            ("steps", 0, "actions"),
            "Langkah pertama tidak punya langkah sebelumnya.",
            "The first step has none before it.",
        )
    if not any(Action.PROPOSE_REJECTION in step.actions for step in steps):
        yield (
            ("steps",),
            "Harus ada langkah yang dapat mengusulkan penolakan.",
            "Some step must be able to propose a rejection.",
        )
    for index, step in enumerate(steps):
        path: Path = ("steps", index)
        if signing and index > signing[0] and not step.automatic:
            yield (
                path,
                "Langkah ini tidak akan pernah dicapai: setelah tanda tangan hanya ada langkah otomatis.",
                "This step is unreachable: only automatic steps follow the signature.",
            )
        yield from _check_step(step, path)
        yield from _check_role(step, path, permit_type)


def _check_step(step: Step, path: Path) -> Iterator[Finding]:
    if not ONWARD & set(step.actions):
        yield (
            (*path, "actions"),
            "Tidak ada tindakan yang meneruskan; langkah sesudahnya tidak akan pernah dicapai.",
            "No action leads on; the steps after this one are unreachable.",
        )
    is_timed = not (step.automatic or step.pauses_clock)
    if is_timed and step.share <= 0:
        yield (
            (*path, "share"),
            "Bobot (share) harus lebih dari 0.",
            "The share must be more than 0.",
        )
    if not is_timed and step.share != 0:
        yield (
            (*path, "share"),
            "Langkah otomatis atau yang menghentikan waktu berbobot (share) 0.",
            "A step that is automatic or pauses the clock has a share of 0.",
        )
    if (Action.SIGN in step.actions) != step.assigns_number:
        yield (
            path,
            "Nomor diberikan pada langkah penandatanganan (assigns_number), dan hanya di sana.",
            "The number is assigned at the signing step, and only there.",
        )


def _check_role(step: Step, path: Path, permit_type: PermitType) -> Iterator[Finding]:
    if Action.SIGN in step.actions and step.role != permit_type.signer_role:
        yield (
            (*path, "role"),
            f"Penanda tangan harus '{permit_type.signer_role}' (signer_role).",
            f"The signer must be '{permit_type.signer_role}' (signer_role).",
        )
    if (Action.PAY in step.actions) != (step.role == "applicant"):
        yield (
            (*path, "role"),
            "Pemohon (applicant) membayar dan tidak melakukan hal lain dalam alur.",
            "The applicant pays, and does nothing else in a workflow.",
        )
    if step.role == "technical_agency" and permit_type.agency is None:
        yield (
            path,
            "Langkah dinas teknis memerlukan nama dinasnya (agency).",
            "A step of the technical agency needs the agency's name.",
        )
