//! Threshold expressions: `<value> <comparison> <bound>`, for example `p(95) < 200`, `rate<0.01`,
//! `p(99.9)<1.5s`. Decimals are read as integers, never as floats; more digits than are kept is an
//! error, not a rounding.

use super::model::{Comparison, ThresholdStat};

const MICRO_DIGITS: usize = 6;
const PERCENTILE_DIGITS: usize = 3;

/// Reads an expression. Bounds of times are in milliseconds unless `us`, `ms` or `s` follows;
/// others take no unit. The last part is the bound in millionths.
///
/// # Errors
/// What is wrong, for the user.
pub fn parse(text: &str) -> Result<(ThresholdStat, Comparison, u64), String> {
    let at = text
        .find(['<', '>', '=', '!'])
        .ok_or_else(|| format!("`{text}` has no comparison: <, <=, >, >=, == or !="))?;
    let (stat, rest) = text.split_at(at);
    let stat = parse_stat(stat.trim())?;
    let bound = rest.trim_start_matches(['<', '>', '=', '!']);
    let op = parse_comparison(rest.strip_suffix(bound).unwrap_or(rest))?;
    Ok((stat, op, parse_bound(bound.trim(), stat)?))
}

fn parse_stat(text: &str) -> Result<ThresholdStat, String> {
    Ok(match text {
        "avg" => ThresholdStat::Avg,
        "min" => ThresholdStat::Min,
        "med" => ThresholdStat::Med,
        "max" => ThresholdStat::Max,
        "count" => ThresholdStat::Count,
        "rate" => ThresholdStat::Rate,
        _ => {
            let inner = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
            let inner = inner.ok_or_else(|| {
                format!("`{text}` is none of avg, min, med, max, count, rate, p(N)")
            })?;
            let percent = decimal(inner.trim(), PERCENTILE_DIGITS)
                .and_then(|percent| u32::try_from(percent).ok())
                .filter(|percent| *percent <= 100_000);
            let percent = percent.ok_or_else(|| {
                format!(
                    "`{inner}` is no percentile: 0 to 100 with at most {PERCENTILE_DIGITS} decimals"
                )
            })?;
            ThresholdStat::Percentile(percent)
        }
    })
}

fn parse_comparison(text: &str) -> Result<Comparison, String> {
    Ok(match text {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        "==" | "===" => Comparison::Equal,
        "!=" => Comparison::NotEqual,
        _ => return Err(format!("`{text}` is none of <, <=, >, >=, == and !=")),
    })
}

fn parse_bound(text: &str, stat: ThresholdStat) -> Result<u64, String> {
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.strip_prefix(number).unwrap_or_default();
    let is_time = !matches!(stat, ThresholdStat::Count | ThresholdStat::Rate);
    // Six digits are millionths of a millisecond; a unit moves the point by three.
    let digits = match unit {
        "" => MICRO_DIGITS,
        "us" if is_time => MICRO_DIGITS.saturating_sub(3),
        "ms" if is_time => MICRO_DIGITS,
        "s" if is_time => MICRO_DIGITS.saturating_add(3),
        _ => return Err(format!("`{unit}` is no unit here: times take us, ms or s, others none")),
    };
    decimal(number.trim_end(), digits)
        .ok_or_else(|| format!("`{text}` is no bound: a number with at most {digits} decimals"))
}

/// `12.5` with 3 digits is 12 500. `None` if it is no plain decimal, has more decimals, or is too
/// large.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        use ThresholdStat::{Avg, Count, Max, Med, Min, Percentile, Rate};
        let cases = [
            ("p(95)<200", (Percentile(95_000), Less, 200_000_000)),
            (" p( 99.9 ) <= 1s ", (Percentile(99_900), LessOrEqual, 1_000_000_000)),
            ("p(99.999)<1.5s", (Percentile(99_999), Less, 1_500_000_000)),
            ("rate<0.01", (Rate, Less, 10_000)),
            ("rate>=1", (Rate, GreaterOrEqual, 1_000_000)),
            ("count>=500", (Count, GreaterOrEqual, 500_000_000)),
            ("count===0", (Count, Equal, 0)),
            ("avg<1.5", (Avg, Less, 1_500_000)),
            ("med != 0.000001", (Med, NotEqual, 1)),
            ("min > 250us", (Min, Greater, 250_000)),
            ("max == 3 ms", (Max, Equal, 3_000_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let bad = [
            "",
            "p(95)",
            "p(95)=200",
            "p(95)=<200",
            "p(95)<>200",
            "p95<200",
            "p(100.001)<1",
            "p(99.9999)<1",
            "p()<1",
            "p(-1)<1",
            "mean<1",
            "avg<",
            "avg<-1",
            "avg<1e3",
            "avg<.5",
            "avg<5.",
            "avg<1.0000001",
            "avg<0.0001us",
            "avg<1m",
            "avg<ms",
            "avg<1 2",
            "rate<1ms",
            "count<1s",
            "rate<1%",
            "count<99999999999999999999",
            "count<18446744073710",
            "avg<٣",
        ];
        for text in bad {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
