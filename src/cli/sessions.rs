//! `sessions list | show | search | export | import | rm`.

use std::process::ExitCode;

use super::args::{ExportFormat, SessionsCommand};
use super::{Context, Failure};
use artgpt_app::sessions;
use artgpt_base::mask::mask_url;
use artgpt_base::output;
use artgpt_base::text::printable;
use artgpt_chat::Session;
use artgpt_store::{to_json, to_markdown};

pub(crate) fn run(context: &Context, command: SessionsCommand) -> Result<ExitCode, Failure> {
    let app = &context.app;
    match command {
        SessionsCommand::List => list(context, sessions::list(app)?),
        SessionsCommand::Search { text } => list(context, sessions::search(app, &text)?),
        SessionsCommand::Show { id } => {
            let format = if context.json { ExportFormat::Json } else { ExportFormat::Md };
            show(context, &id, format)?;
        }
        SessionsCommand::Export { id, format } => show(context, &id, format)?,
        SessionsCommand::Import { file } => {
            changed(context, &sessions::import(app, &file)?, "imported");
        }
        SessionsCommand::Rm { id } => {
            let removed = sessions::remove(app, &id)?;
            let backups: Vec<_> = removed.backups.iter().map(|p| p.display().to_string()).collect();
            if context.json {
                output::line(serde_json::json!({
                    "id": removed.session.id, "state": "removed", "backups": backups,
                }));
            } else {
                changed(context, &removed.session, "removed");
                for backup in backups {
                    output::note(format_args!(
                        "{backup} may still hold it; delete it if you do not need it"
                    ));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(context: &Context, id: &str, format: ExportFormat) -> Result<(), Failure> {
    let mut conversation = sessions::get(&context.app, id)?;
    // Sessions of earlier versions hold the address of a server with its password.
    conversation.session.model = mask_url(&conversation.session.model).into_owned();
    match format {
        ExportFormat::Json => output::line(to_json(&conversation)),
        ExportFormat::Md => output::write(to_markdown(&conversation)),
    }
    Ok(())
}

fn list(context: &Context, mut sessions: Vec<Session>) {
    for session in &mut sessions {
        session.model = mask_url(&session.model).into_owned();
    }
    if context.json {
        output::line(serde_json::json!(sessions));
        return;
    }
    for s in &sessions {
        let updated = s.updated.strftime("%Y-%m-%d %H:%M");
        let title = if s.title.is_empty() { "Untitled" } else { &s.title };
        output::line(format_args!(
            "{}  {updated}  {:<14}  {}",
            s.id,
            printable(&model_name(&s.model)),
            printable(title)
        ));
    }
}

/// Of a path, its last part.
fn model_name(model: &str) -> String {
    let last = std::path::Path::new(model).file_name();
    last.map_or_else(|| model.to_string(), |name| name.to_string_lossy().into_owned())
}

fn changed(context: &Context, session: &Session, what: &str) {
    if context.json {
        output::line(serde_json::json!({"id": session.id, "state": what}));
    } else {
        output::line(format_args!("{what} {}", session.id));
    }
}
