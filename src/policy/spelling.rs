//! Guesses at what somebody meant to write.

/// The one of `names` that `written` was probably meant to be.
#[must_use]
pub fn closest<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase().replace('-', "_");
    names
        .iter()
        .map(|&name| (strsim::damerau_levenshtein(&written, &name.to_lowercase()), name))
        .filter(|&(distance, name)| distance <= 1 || distance * 3 <= name.len())
        .min()
        .map(|(_, name)| name)
}
