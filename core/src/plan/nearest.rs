//! The nearest valid name to a misspelt one.

/// The one of `names` that is fewest edits away from `unknown`, the first such; none when every
/// name is further than a third of its length.
#[must_use]
pub fn nearest<'a>(unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names.into_iter().map(|name| (distance(unknown, name), name));
    let (edits, name) = scored.min_by_key(|(edits, _)| *edits)?;
    (edits <= name.chars().count().div_ceil(3)).then_some(name)
}

/// Levenshtein's distance without regard to case. A name longer than 64 characters is far from
/// everything, which bounds the cost.
fn distance(left: &str, right: &str) -> usize {
    if left.chars().count() > 64 || right.chars().count() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (above, a) in left.chars().enumerate() {
        let mut diagonal = above;
        let mut before = above + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(right.chars()) {
            let substituted = diagonal + usize::from(!a.eq_ignore_ascii_case(&b));
            diagonal = *cell;
            before = substituted.min(before + 1).min(diagonal + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases = [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("abc", "ABC", 0)];
        let more = [("kitten", "sitting", 3), ("rate", "rat", 1), ("durration", "duration", 1)];
        for (left, right, expected) in cases.into_iter().chain(more) {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
        assert_eq!(distance(&"a".repeat(65), "a"), usize::MAX);
    }

    #[test]
    fn only_near_names_are_offered() {
        assert_eq!(nearest("rte", ["duration", "rate"]), Some("rate"));
        assert_eq!(nearest("scenario", ["rate", "vus"]), None);
        assert_eq!(nearest("x", []), None);
    }
}
