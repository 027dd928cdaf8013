//! Tables of a comparison.

use std::fmt::Write;

use super::{Measured, by_method, over_seeds};

/// Two Markdown tables: cost and results of each method, and its accuracy by question type.
pub fn markdown(all: &[Measured]) -> String {
    let mut out = String::from(
        "| method | trains in the language model | trains in all | learning rate | loss, training | loss, held out | accuracy | seconds | peak memory | weights |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let groups = by_method(all);
    for (method, runs) in &groups {
        let over = |f: fn(&Measured) -> Option<f64>| {
            let values: Vec<f64> = runs.iter().filter_map(|r| f(r)).collect();
            if values.is_empty() { None } else { Some(over_seeds(&values)) }
        };
        let first = runs[0];
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:e} | {} | {} | {} | {} | {} | {} |",
            method.describe(),
            first.in_language_model,
            first.trainable,
            first.lr,
            cell(over(|r| Some(r.train_loss)), 3),
            cell(over(|r| r.held_out_loss), 3),
            cell(over(|r| r.accuracy()), 1),
            cell(over(|r| Some(r.seconds)).map(|(mean, _)| (mean, None)), 0),
            cell(over(|r| r.peak_memory.map(megabytes)).map(|(mean, _)| (mean, None)), 0) + " MB",
            format_args!("{:.1} MB", megabytes(first.weights_bytes)),
        );
    }
    let Some(first) = all.first().filter(|first| !first.rows.is_empty()) else { return out };
    out.push_str("\n| method |");
    for row in &first.rows {
        let _ = write!(out, " {} |", row.question);
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(first.rows.len()));
    out.push('\n');
    for (method, runs) in &groups {
        let _ = write!(out, "| {} |", method.describe());
        for i in 0..first.rows.len() {
            let values: Vec<f64> =
                runs.iter().filter_map(|r| r.rows.get(i)).map(|r| r.right_picture).collect();
            let _ = write!(out, " {} |", cell(Some(over_seeds(&values)), 0));
        }
        out.push('\n');
    }
    let _ = write!(out, "| the commonest answer |");
    for row in &first.rows {
        let _ = write!(out, " {:.0} |", row.majority);
    }
    out.push('\n');
    out
}

/// A mean and its interval.
fn cell(value: Option<(f64, Option<f64>)>, digits: usize) -> String {
    match value {
        None => "-".into(),
        Some((mean, None)) => format!("{mean:.digits$}"),
        Some((mean, Some(half))) => format!("{mean:.digits$} ± {half:.digits$}"),
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A CSV line for each run, with a column for each question type.
pub fn csv(all: &[Measured]) -> String {
    let mut out = String::from(
        "method,seed,in_language_model,trainable,lr,train_loss,held_out_loss,accuracy,seconds,peak_memory_bytes,weights_bytes",
    );
    for row in all.first().map(|m| m.rows.as_slice()).unwrap_or_default() {
        let _ = write!(out, ",\"{}\"", row.question);
    }
    out.push('\n');
    for one in all {
        let known = |v: Option<String>| v.unwrap_or_default();
        let _ = write!(
            out,
            "\"{}\",{},{},{},{},{},{},{},{},{},{}",
            one.trial.method.describe(),
            one.trial.seed,
            one.in_language_model,
            one.trainable,
            one.lr,
            one.train_loss,
            known(one.held_out_loss.map(|l| l.to_string())),
            known(one.accuracy().map(|a| a.to_string())),
            one.seconds,
            known(one.peak_memory.map(|m| m.to_string())),
            one.weights_bytes,
        );
        for row in &one.rows {
            let _ = write!(out, ",{}", row.right_picture);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Trial;
    use super::*;
    use crate::{Interval, Row};
    use artgpt_manifest::Method;

    pub(crate) fn measured(method: Method, seed: u64, right: f64) -> Measured {
        let row = Row {
            question: "palette".into(),
            asked: 10,
            right_picture: right,
            wrong_picture: None,
            no_picture: None,
            majority: 40.0,
            lead: Interval { value: right - 40.0, low: 0.0, high: 1.0 },
        };
        Measured {
            trial: Trial { method, seed },
            trainable: 300,
            in_language_model: 100,
            lr: 0.001,
            train_loss: 0.5,
            held_out_loss: Some(0.75),
            seconds: 12.0,
            peak_memory: None,
            weights_bytes: 2_500_000,
            curve: vec![(1, 2.0), (2, 1.0)],
            rows: vec![row],
        }
    }

    #[test]
    fn seeds_become_a_mean_and_an_interval() {
        let all = [measured(Method::Bitfit {}, 1, 60.0), measured(Method::Bitfit {}, 2, 70.0)];
        let text = markdown(&all);
        // Standard error 5, t for one degree of freedom 12.706.
        let row = "| bitfit | 100 | 300 | 1e-3 | 0.500 ± 0.000 | 0.750 ± 0.000 | 65.0 ± 63.5 | 12 | - MB | 2.5 MB |";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("| bitfit | 65 ± 64 |"), "{text}");
        assert!(text.contains("| the commonest answer | 40 |"), "{text}");
        let silent = all.clone().map(|one| Measured { rows: vec![], ..one });
        let text = markdown(&silent);
        assert!(
            text.contains("| 0.750 ± 0.000 | - | 12 |") && !text.contains("commonest"),
            "{text}"
        );
        assert!(csv(&silent).contains(",0.75,,12,"), "{}", csv(&silent));
        let lines: Vec<String> = csv(&all).lines().map(String::from).collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "\"bitfit\",1,100,300,0.001,0.5,0.75,60,12,,2500000,60");
    }
}
