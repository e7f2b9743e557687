"""Every key at a glance: its state, what is to be done next and by when, and until when it proves anything.

The administrators' page, `canting keys list` and the alarms say the same, from `key_overview`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from keys import store
from keys.hierarchy import generations
from service.accounts.models import User
from service.config import LOCAL_TSA, TsaAddress
from service.pki.models import OutsideCertificate, RevocationList
from service.pki.outside import ANSWERED_LATELY, newest_outside, stamps_until
from service.pki.register import KeyState, key_states, newest_list

ROOT_LIST_DUE = timedelta(days=60)
"""The root's list is signed anew in so many days before it goes stale."""
GENERATIONS = (store.ROOT, store.ISSUING, store.TSA, store.SEAL)
_OF_OTHER_HOUSES = (store.ROOT, store.AUTHORITY_PREFIX)
"""How the names of other houses' authorities begin; a root that is no generation of ours is one too."""
_SUCCESSORS = ((store.OFFICIAL_PREFIX, "enrol"), (store.CUSTODIAN_PREFIX, "appoint"))
"""By whose key it is: what gives a key a successor, where that is not `renew`."""


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key with its newest certificate, or an authority of another house."""

    name: str
    subject: str
    issuer: str
    not_after: datetime | None
    """None: the key has no certificate."""
    state: str
    """A KeyState's word, or `silent`: another house's authority that did not answer lately."""
    action: str = "none"
    """What must be done next.

    `renew`, `enrol`, `appoint` (a custodian), `sign_root_list`, `import_list` (another house's), `decide` (a
    suspension), `look_into`, `automatic` or `none`.
    """
    act_from: datetime | None = None
    act_by: datetime | None = None
    verifiable_until: datetime | None = None
    """Until when what it signs now is proven without a further renewal; None: it signs nothing any more."""


def own_tsa_end(session: Session, now: datetime) -> datetime:
    """Return the end of our own authority's newest certificate; `now` when none is recorded."""
    ends = {each.row.key_name: each.row.not_after for each in reversed(key_states(session, now))}
    names = generations(ends, store.TSA)
    return ends[names[-1]] if names else now


def key_overview(
    session: Session, addresses: Sequence[TsaAddress], now: datetime, bare: Iterable[str] = ()
) -> list[KeyView]:
    """Tell of every key, and of every time-stamping authority named in the setting.

    `bare` names the keys of the store, so that those without a certificate are told of too.
    """
    newest: dict[str, KeyState] = {}
    for each in key_states(session, now):
        newest.setdefault(each.row.key_name, each)
    stamped_until = stamps_until(session, addresses, own_tsa_end(session, now), now)
    in_use: set[str | None] = set(session.exec(select(User.key_name).where(col(User.disabled_at).is_(None))))
    current = {names[-1] for base in GENERATIONS if (names := generations(newest, base))}
    views = [_view(session, each, in_use | current, stamped_until, now) for each in newest.values()]
    without = [KeyView(name, "–", "–", None, "in_force") for name in bare if name not in newest]
    return [*views, *without, *_outside_views(session, addresses, now)]


def _view(
    session: Session, known: KeyState, in_use: set[str | None], stamped_until: datetime, now: datetime
) -> KeyView:
    row, state = known.row, known.state
    view = KeyView(row.key_name, row.subject, row.issuer, row.not_after, state)
    if state in ("expired", "revoked"):
        return view
    signs_documents = row.key_name.startswith((store.SEAL, store.OFFICIAL_PREFIX))
    # Documents get an archive time stamp, which outlives their signer's certificate.
    until = max(row.not_after, stamped_until) if signs_documents else row.not_after
    view = replace(view, verifiable_until=until)
    if state == "suspended":
        return replace(view, action="decide", act_from=now)
    if row.key_name.startswith(store.OCSP):
        return replace(view, action="automatic")
    if row.key_name.startswith(_OF_OTHER_HOUSES) and not generations([row.key_name], store.ROOT):
        return _with_outside_list(view, newest_list(session, row.key_name), now)
    renewing = view
    if row.key_name in in_use or row.key_name.startswith(store.CUSTODIAN_PREFIX):
        due = row.not_after - (row.not_after - row.not_before) / 10
        action = next((word for prefix, word in _SUCCESSORS if row.key_name.startswith(prefix)), "renew")
        renewing = replace(view, action=action, act_from=due, act_by=row.not_after)
    crl = newest_list(session, row.key_name) if row.key_name.startswith(store.ROOT) else None
    if crl is None or (renewing.act_by is not None and renewing.act_by < crl.next_update):
        return renewing
    return replace(
        view, action="sign_root_list", act_from=crl.next_update - ROOT_LIST_DUE, act_by=crl.next_update
    )


def _with_outside_list(view: KeyView, crl: RevocationList | None, now: datetime) -> KeyView:
    """Ask for another house's next list once the last has lived half of its life: no job fetches it."""
    if crl is None:
        return replace(view, action="import_list", act_from=now)
    middle = crl.this_update + (crl.next_update - crl.this_update) / 2
    return replace(view, action="import_list", act_from=middle, act_by=crl.next_update)


def _outside_views(session: Session, addresses: Sequence[TsaAddress], now: datetime) -> list[KeyView]:
    named = [each.name for each in addresses if each != LOCAL_TSA]
    return [_outside_view(name, newest_outside(session, name), now) for name in named]


def _outside_view(name: str, row: OutsideCertificate | None, now: datetime) -> KeyView:
    silent = row is None or now - row.answered_at > ANSWERED_LATELY
    action = "look_into" if silent else "none"
    return KeyView(
        name=f"tsa {name}",
        subject=row.subject if row else "–",
        issuer="–",
        not_after=row.not_after if row else None,
        state="silent" if silent else "in_force",
        action=action,
        act_from=now if silent else None,
        verifiable_until=row.not_after if row and not silent else None,
    )
