//! Jobs controlled from the panel.

use std::path::PathBuf;

use super::*;
use crate::tui::panel::jobs::form::Field;
use artgpt_rundir::job::Wanted;
use artgpt_rundir::{RunState, Status};

#[test]
fn jobs_are_asked_for_what_the_keys_say() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    // A panel that cannot steer does not pretend to.
    assert!(press(&mut panel, "P X N").is_empty() && panel.overlays.is_empty());
    panel.steers = true;
    let path = panel.run(0).path.clone();
    // It is not running, as far as it says: it is asked to go on.
    assert_eq!(press(&mut panel, "P"), [Effect::RequestJobs(vec![path.clone()], Wanted::Run)]);
    assert!(press(&mut panel, "X").is_empty());
    assert!(screen(&panel).contains("Stop adapter?"));
    assert!(press(&mut panel, "n").is_empty());
    assert_eq!(press(&mut panel, "X y"), [Effect::RequestJobs(vec![path], Wanted::Stop)]);
    // Several at once: those that it can be done to.
    for (run, state) in
        [RunState::Finished, RunState::Paused, RunState::Failed].into_iter().enumerate()
    {
        change(&mut panel, run, |run| run.status = Some(Status::now(state, 5, 10, None)));
    }
    let paths: Vec<PathBuf> = (0..3).map(|i| panel.run(i).path.clone()).collect();
    press(&mut panel, "A");
    assert!(screen(&panel).contains("· 3 selected"), "{}", screen(&panel));
    // What failed had a reason to end, and is not started by the way.
    let again = Effect::RequestJobs(vec![paths[1].clone()], Wanted::Run);
    assert_eq!(press(&mut panel, "P"), [again]);
    assert!(press(&mut panel, "D").is_empty());
    let text = screen(&panel);
    assert!(text.contains("Delete these 2 runs: adapter, other?"), "{text}");
    assert!(text.contains("1 selected run does not qualify and is unchanged"), "{text}");
    let removed = Effect::RemoveRuns(vec![paths[0].clone(), paths[2].clone()]);
    assert_eq!(press(&mut panel, "y"), [removed]);
    assert!(screen(&panel).contains("3 selected"), "it is not done yet");
    update(
        &mut panel,
        Message::RunsChanged(vec![paths[0].clone(), paths[2].clone()], "2 runs are deleted".into()),
    );
    let text = screen(&panel);
    assert!(text.contains("1 selected") && text.contains("2 runs are deleted"), "{text}");
    press(&mut panel, "Esc");
    // Words are put behind each one's note; what a filter hides is left out, and stays selected.
    update(&mut panel, Message::Notes([(paths[0].clone(), "hot".to_string())].into()));
    press(&mut panel, "A / a d a p Enter t");
    assert_eq!(
        panel.overlays.note().map(|n| (n.runs.len(), n.text.text())),
        Some((1, "hot".into()))
    );
    press(&mut panel, "Esc Esc");
    assert!(screen(&panel).contains("3 selected"));
    press(&mut panel, "Esc Home * * t # y");
    let runs = paths[..2].iter().map(|path| (path.clone(), String::new())).collect();
    assert_eq!(press(&mut panel, "Enter"), [Effect::AddNotes(runs, "#y".into())]);
    press(&mut panel, "Esc");
    // The cursor stays on its run when others go.
    press(&mut panel, "End");
    let other = panel.chosen();
    change(&mut panel, 0, |run| run.gone = true);
    assert_eq!((panel.chosen(), panel.list.cursor), (other, 1));
    change(&mut panel, 2, |run| run.gone = true);
    assert_eq!((panel.chosen(), panel.list.cursor), (Some(1), 0));
    for run in [0, 2] {
        change(&mut panel, run, |run| run.gone = false);
    }
}

#[test]
fn a_form_is_checked_before_it_is_submitted_and_again_after_a_change() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut panel = panel(dir.path(), 140, 40);
    panel.steers = true;
    press(&mut panel, "N");
    update(&mut panel, Message::Paste("a.toml\n".into()));
    let check = press(&mut panel, "Enter");
    let Some(Effect::Check(form)) = check.first() else { panic!("{check:?}") };
    assert_eq!(form.get(Field::Configuration), "a.toml");
    assert!(press(&mut panel, "Enter").is_empty(), "it is being checked");
    let asked = |panel: &Panel| Box::new(panel.overlays.form().expect("is open").form());
    let other = Box::new(Form::default());
    update(&mut panel, Message::Checked(other, Ok("another".into())));
    assert!(!screen(&panel).contains("another"));
    let form = asked(&panel);
    update(&mut panel, Message::Checked(form, Ok("about 2.0 GB".into())));
    assert!(screen(&panel).contains("good: about 2.0 GB"));
    assert!(matches!(press(&mut panel, "Enter")[..], [Effect::Submit(_)]));
    let form = asked(&panel);
    update(&mut panel, Message::Submitted(form, Err("the disk is full".into())));
    assert!(screen(&panel).contains("the disk is full"));
    press(&mut panel, "x");
    assert!(matches!(press(&mut panel, "Enter")[..], [Effect::Check(_)]));
    let form = asked(&panel);
    update(&mut panel, Message::Submitted(form, Ok(("01A is queued".into(), vec![]))));
    assert!(screen(&panel).contains("01A is queued") && panel.overlays.form().is_none());
}
