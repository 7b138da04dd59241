//! How a name in a table differs from its picture's.

/// How a row's name differs from its picture's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::data) enum Difference {
    /// Not at all: the path is relative to the table's folder or to the archive's root.
    None,
    /// Only in upper and lower case, or in how an accented letter is composed.
    Case,
    /// In the extension.
    Extension,
    /// In the folders.
    Folder,
    /// In the encoding of letters outside ASCII.
    Encoding,
    /// In the random prefix that Label Studio gives the files that are uploaded to it.
    Prefix,
}

impl Difference {
    /// Returns the text of a note on names with this difference.
    pub(in crate::data) fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Case => {
                "differ from their pictures' only in letter case or in how accents are composed"
            }
            Self::Extension => "have a different extension from their pictures, or none",
            Self::Folder => {
                "have a different folder path from their pictures; they were matched by the longest common ending of the paths"
            }
            Self::Encoding => "use a different text encoding from their pictures",
            Self::Prefix => "have a Label Studio prefix that their pictures do not have",
        }
    }
}
