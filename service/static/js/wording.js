// What the components of GOV.UK say by themselves, in Indonesian; their own English is the default.

const INDONESIAN = {
  accordion: {
    i18n: {
      hideAllSections: "Tutup semua bagian",
      hideSection: "Tutup",
      hideSectionAriaLabel: "Tutup bagian ini",
      showAllSections: "Buka semua bagian",
      showSection: "Buka",
      showSectionAriaLabel: "Buka bagian ini",
    },
  },
  characterCount: {
    i18n: {
      charactersUnderLimit: { other: "Tersisa %{count} karakter" },
      charactersAtLimit: "Tersisa 0 karakter",
      charactersOverLimit: { other: "Kelebihan %{count} karakter" },
      wordsUnderLimit: { other: "Tersisa %{count} kata" },
      wordsAtLimit: "Tersisa 0 kata",
      wordsOverLimit: { other: "Kelebihan %{count} kata" },
    },
  },
  fileUpload: {
    i18n: {
      chooseFilesButton: "Pilih berkas",
      dropInstruction: "atau letakkan berkas di sini",
      noFileChosen: "Belum ada berkas dipilih",
      multipleFilesChosen: { other: "%{count} berkas dipilih" },
      enteredDropZone: "Berkas di atas area unggah",
      leftDropZone: "Berkas keluar dari area unggah",
    },
  },
  passwordInput: {
    i18n: {
      showPassword: "Tampilkan",
      hidePassword: "Sembunyikan",
      showPasswordAriaLabel: "Tampilkan kata sandi",
      hidePasswordAriaLabel: "Sembunyikan kata sandi",
      passwordShownAnnouncement: "Kata sandi tampak",
      passwordHiddenAnnouncement: "Kata sandi tersembunyi",
    },
  },
};

/** The configuration of the components for the page's language. */
export function wording(language) {
  return language === "en" ? {} : INDONESIAN;
}
