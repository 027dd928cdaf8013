//! The table itself: every action with its default keys and what it does.

use super::{Context, actions};

actions! { GlobalAction in Context::Global;
    Redraw ["ctrl-l"] "redraw the screen";
    Suspend ["ctrl-z"] "suspend the program; the shell's `fg` brings it back";
    Interrupt ["ctrl-c"] "stop the answer, close the window or panel; twice when idle: quit";
    Quit ["ctrl-q"] "quit; everything is saved" hint 4 "quit";
}

actions! { ChatAction in Context::Chat;
    Stop ["esc"] "stop the answer, or clear the message";
    Open ["ctrl-o"] "open an artwork" hint 2 "open";
    Questions ["ctrl-p"] "pick a question" hint 3 "questions";
    Sessions ["ctrl-t"] "resume or delete a session";
    Models ["f2", "alt-m"] "switch to another model or training run";
    Panel ["f3", "alt-t"] "open the training panel: curves, runs, jobs";
    NewSession ["ctrl-n"] "start a new session";
    Regenerate ["ctrl-r"] "answer again, or reload a model that failed";
    PageUp ["pageup"] "scroll a page up";
    PageDown ["pagedown"] "scroll a page down";
    LineUp ["ctrl-up", "shift-up"] "scroll a line up";
    LineDown ["ctrl-down", "shift-down"] "scroll a line down";
    Help ["f1", "ctrl-g"] "show the keys" hint 1 "keys";
}

actions! { ComposerAction in Context::Composer;
    Send ["enter"] "send the question";
    Newline ["alt-enter", "shift-enter", "ctrl-j"] "insert a line break";
    DeleteToStart ["ctrl-u"] "delete to the start of the line";
    Earlier ["up"] "recall the question before (on the first line)";
    Later ["down"] "recall the question after (on the last line)";
}

actions! { HelpAction in Context::Help;
    ScrollUp ["up", "k"] "scroll a line up";
    ScrollDown ["down", "j"] "scroll a line down";
    PageUp ["pageup"] "scroll ten lines up";
    PageDown ["pagedown"] "scroll ten lines down";
    Close ["esc", "enter", "q", "?", "f1", "ctrl-g"] "close; so does any other key" hint 1 "closes";
}

actions! { ListAction in Context::List;
    Up ["up"] "select the row above";
    Down ["down"] "select the row below";
    PageUp ["pageup"] "go ten rows up";
    PageDown ["pagedown"] "go ten rows down";
    First ["home"] "select the first row";
    Last ["end"] "select the last row";
    Close ["esc"] "close the window, or cancel the deletion";
}

actions! { OpenAction in Context::Open;
    Complete ["tab"] "complete the path" hint 1 "completes";
    Open ["enter"] "open the artwork" hint 1 "opens";
    OpenBeside ["alt-enter"] "add the artwork to those already shown" hint 1 "adds";
    Up ["up", "shift-tab"] "select the candidate above";
    Down ["down"] "select the candidate below";
    PageUp ["pageup"] "go ten candidates up";
    PageDown ["pagedown"] "go ten candidates down";
    Clear ["ctrl-u"] "delete the path";
    Close ["esc"] "close the window";
}

actions! { SessionsAction in Context::Sessions;
    Resume ["enter"] "resume the session" hint 1 "resumes";
    Delete ["d", "delete"] "delete the session; press twice" hint 1 "deletes";
}

actions! { QuestionsAction in Context::Questions;
    Take ["enter"] "copy the question to the composer" hint 1 "takes one";
}

actions! { ModelsAction in Context::Models;
    Take ["enter"] "switch to this model" hint 1 "takes one";
}
