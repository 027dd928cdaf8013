//! The table itself: every action with its default keys and what it does.

use super::{Context, actions};

actions! { GlobalAction in Context::Global;
    Redraw ["ctrl-l"] "redraw the screen";
    Suspend ["ctrl-z"] "suspend the program; the shell's `fg` brings it back";
    Interrupt ["ctrl-c"] "stop the answer, close the window or panel; twice when idle: quit";
    Quit ["ctrl-q"] "quit; everything is saved" hint 4 "quit";
}

actions! { ChatAction in Context::Chat;
    Stop ESC "stop the answer, or clear the message";
    Open ["ctrl-o"] "open an artwork" hint 2 "open";
    Questions ["ctrl-p"] "pick a question" hint 3 "questions";
    Sessions ["ctrl-t"] "resume or delete a session";
    Models ["f2", "alt-m"] "switch to another model or training run";
    Panel ["f3", "alt-t"] "open the training panel: curves, runs, jobs";
    Sources ["f4", "alt-w"] "show where the last answer comes from: label, measurement or model";
    NewSession ["ctrl-n"] "start a new session";
    Regenerate ["ctrl-r"] "answer again, or reload a model that failed";
    PageUp PAGE_UP "scroll a page up";
    PageDown PAGE_DOWN "scroll a page down";
    LineUp ["ctrl-up", "shift-up"] "scroll a line up";
    LineDown ["ctrl-down", "shift-down"] "scroll a line down";
    Help ["f1", "ctrl-g"] "show the keys" hint 1 "keys";
}

actions! { ComposerAction in Context::Composer;
    Send ENTER "send the question";
    Newline ["alt-enter", "shift-enter", "ctrl-j"] "insert a line break";
    DeleteToStart ["ctrl-u"] "delete to the start of the line";
    Earlier UP "recall the question before (on the first line)";
    Later DOWN "recall the question after (on the last line)";
}

actions! { HelpAction in Context::Help;
    ScrollUp UP_OR_K "scroll a line up";
    ScrollDown DOWN_OR_J "scroll a line down";
    PageUp PAGE_UP "scroll ten lines up";
    PageDown PAGE_DOWN "scroll ten lines down";
    Close ["esc", "enter", "q", "?", "f1", "ctrl-g"] "close; so does any other key" hint 1 "closes";
}

actions! { ListAction in Context::List;
    Up UP "select the row above";
    Down DOWN "select the row below";
    PageUp PAGE_UP "go ten rows up";
    PageDown PAGE_DOWN "go ten rows down";
    First FIRST "select the first row";
    Last LAST "select the last row";
    Close ESC "close the window, or cancel the deletion";
}

actions! { OpenAction in Context::Open;
    Complete ["tab"] "complete the path" hint 1 "completes";
    Open ENTER "open the artwork" hint 1 "opens";
    OpenBeside ["alt-enter"] "add the artwork to those already shown" hint 1 "adds";
    Up ["up", "shift-tab"] "select the candidate above";
    Down DOWN "select the candidate below";
    PageUp PAGE_UP "go ten candidates up";
    PageDown PAGE_DOWN "go ten candidates down";
    Clear ["ctrl-u"] "delete the path";
    Close ESC "close the window";
}

actions! { SessionsAction in Context::Sessions;
    Resume ENTER "resume the session" hint 1 "resumes";
    Delete ["d", "delete"] "delete the session; press twice" hint 1 "deletes";
}

actions! { QuestionsAction in Context::Questions;
    Take ENTER "copy the question to the composer" hint 1 "takes one";
}

actions! { ModelsAction in Context::Models;
    Take ENTER "switch to this model" hint 1 "takes one";
}
