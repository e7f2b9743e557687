"""What an officer reads before acting: each action's name, where it leads, and what the note is for."""

from dataclasses import dataclass

from service.applications.workflow import Action


@dataclass(frozen=True, slots=True)
class ActionWording:
    """Indonesian texts, translated where they are shown; `kind` is primary, secondary or warning."""

    label: str
    consequence: str
    note_label: str = "Catatan untuk petugas berikutnya (tidak wajib)"
    note_hint: str = ""
    kind: str = "primary"


WORDING = {
    Action.FORWARD: ActionWording(
        "Teruskan", "Permohonan sudah sesuai menurut tahap Anda dan diteruskan ke tahap berikutnya."
    ),
    Action.RECOMMEND: ActionWording(
        "Rekomendasikan disetujui",
        "Pendapat Anda diteruskan kepada Back Office yang menyusun konsep keputusan.",
        "Isi rekomendasi (tidak wajib)",
        "Syarat atau catatan teknis yang perlu diketahui. Surat rekomendasi dapat dilampirkan pada halaman "
        "permohonan.",
    ),
    Action.SUBMIT_REPORT: ActionWording(
        "Kirim berita acara",
        "Hasil pemeriksaan lapangan disimpan dan permohonan diteruskan ke tahap berikutnya.",
        "Kesimpulan (tidak wajib)",
    ),
    Action.INITIAL: ActionWording(
        "Paraf", "Konsep sudah benar menurut Anda dan diteruskan kepada atasan berikutnya."
    ),
    Action.SIGN: ActionWording("Buka untuk ditandatangani", "Dokumen dibuka untuk ditandatangani."),
    Action.RETURN_FOR_COMPLETION: ActionWording(
        "Kembalikan untuk dilengkapi",
        "Tandai setiap isian dan dokumen yang harus diperbaiki. Pemohon melihat tepat yang Anda tandai, dan "
        "jangka waktu berhenti dihitung sampai perbaikan dikirim.",
        "Catatan untuk petugas lain (tidak wajib)",
        "Pemohon tidak melihat catatan ini.",
        kind="secondary",
    ),
    Action.RETURN_TO_PREVIOUS: ActionWording(
        "Kembalikan ke tahap sebelumnya",
        "Permohonan kembali ke petugas tahap sebelumnya. Pemohon tidak diminta apa-apa.",
        "Alasan pengembalian",
        "Sebutkan apa yang harus diperiksa ulang.",
        kind="secondary",
    ),
    Action.RECOMMEND_REJECTION: ActionWording(
        "Rekomendasikan ditolak",
        "Pendapat Anda diteruskan kepada Back Office, yang memutuskan mengusulkan penolakan atau tidak.",
        "Alasan teknis",
        kind="warning",
    ),
    Action.PROPOSE_REJECTION: ActionWording(
        "Usulkan penolakan",
        "Usulan naik lewat paraf sampai Kepala Dinas, yang menandatangani surat penolakan.",
        "Alasan penolakan",
        "Alasan ini tercetak pada surat penolakan. Tulis satu alasan pada satu baris, dengan dasar hukumnya.",
        kind="warning",
    ),
}
ACTION_ORDER = tuple(WORDING)
"""As they stand in the action bar."""
