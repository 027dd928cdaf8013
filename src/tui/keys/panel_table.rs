//! The table of the training panel: every action with its default keys and what it does.

use super::{Context, actions};

actions! { PanelAction in Context::Panel;
    Quit ["q"] "go back to the chat; without one, quit";
    Help ["?", "f1"] "show the keys";
    Back ESC "undo one thing: the enlarged chart, a filter, the selection, the table";
    SwitchFocus ["tab", "shift-tab"] "switch between list and charts";
    ToggleList ["s"] "hide or show the list";
    ToggleLoad ["g"] "show the load of CPU, memory, disk and GPUs";
    Table ["w"] "show the runs as a table: last, min, max, and differing configuration keys";
    Page ["i"] "open the page of the run: metrics, config, differences, log, samples, media";
    Note ["t"] "edit the note of the run; #words are tags that the filter finds";
    Machine ["m"] "open the machine window: load history and processes";
}

actions! { RunsAction in Context::PanelRuns;
    First FIRST "go to the first run";
    Last LAST "go to the last run";
    ToggleShown ["space"] "show or hide the curves of the run";
    ShowAll ["a"] "show all listed runs";
    ShowNone ["n"] "show no run";
    ShowOnly ["o"] "show only this run";
    Select ["*"] "select the run for the next key: show, pin, note, pause, stop, delete";
    SelectAll ["A"] "select all listed runs, or none";
    Pin ["p"] "pin the run to the top";
    Sort ["S"] "sort by path, state, or last, min or max value of the selected metric";
    Filter ["/"] "filter the list: words, lr>1e-4, state=failed";
}

actions! { RunListAction in Context::PanelList;
    Up UP_OR_K "go to the run above";
    Down DOWN_OR_J "go to the run below";
}

actions! { ChartsAction in Context::PanelCharts;
    Up UP_OR_K "select the chart above";
    Down DOWN_OR_J "select the chart below";
    Left ["left"] "select the chart to the left; on the enlarged chart: read exact values";
    Right ["right"] "select the chart to the right; on the enlarged chart: read exact values";
}

actions! { ChartAction in Context::PanelChart;
    Enlarge ENTER "enlarge the selected chart, or go back";
    PageUp PAGE_UP "scroll the charts up";
    PageDown PAGE_DOWN "scroll the charts down";
    PanLeft ["shift-left"] "pan to the left";
    PanRight ["shift-right"] "pan to the right";
    ZoomIn ["+", "="] "zoom in";
    ZoomOut ["-"] "zoom out";
    WholeAxis ["0"] "show the whole axis";
    Follow ["f"] "follow the newest point";
    Axis ["x"] "horizontal axis: step, epoch, run time, date";
    Log ["l"] "logarithmic vertical axis";
    Clip ["c"] "clip to the 5th to 95th percentile";
    SmoothLess ["["] "less smoothing";
    SmoothMore ["]"] "more smoothing; the raw curve stays visible";
    Unite ["u"] "draw held-out metrics with their training metrics, or apart";
    Filter ["\\"] "filter the charts by name";
    Picture ["v"] "draw the enlarged chart as a picture or in cells, if the terminal shows pictures";
}

actions! { ExportAction in Context::PanelExport;
    Csv ["e"] "write the points of the chart to a CSV file";
    Svg ["E"] "write the visible part of the chart to an SVG file";
    Png ["G"] "write the visible part of the chart to a PNG file";
}

actions! { TableAction in Context::PanelTable;
    Up UP_OR_K "go to the run above";
    Down DOWN_OR_J "go to the run below";
    PageUp PAGE_UP "go a screen up";
    PageDown PAGE_DOWN "go a screen down";
    OpenPage ENTER "open the page of the run";
    Left ["left"] "scroll a column to the left";
    Right ["right"] "scroll a column to the right";
    PreviousMetric ["["] "show the values of the metric before";
    NextMetric ["]"] "show the values of the metric after";
}

actions! { JobsAction in Context::PanelJobs;
    New ["N"] "submit a job";
    PauseOrResume ["P"] "pause or resume the job";
    Stop ["X"] "stop the job";
    Delete ["D"] "delete a run that has ended";
}

actions! { QuestionAction in Context::PanelQuestion;
    Yes ["y", "Y"] "yes";
    No ["n", "esc"] "cancel; so does any other key";
}

actions! { FormAction in Context::PanelForm;
    Previous ["up", "shift-tab"] "go to the field above";
    Next DOWN "go to the field below";
    Complete ["tab"] "complete the path; in other fields: go to the field below";
    Send ENTER "check the form, then submit it";
    DeleteToStart ["ctrl-u"] "delete to the start of the field";
    Close ESC "close the form; its content stays for the next time";
}

actions! { NoteAction in Context::PanelNote;
    Save ENTER "save the note";
    Close ESC "close without saving";
}

actions! { FilterAction in Context::PanelFilter;
    Accept ENTER "keep the filter";
    Clear ESC "clear the filter";
}

actions! { PageAction in Context::PanelPage;
    NextTab ["right", "tab"] "go to the next tab";
    PreviousTab ["left", "shift-tab"] "go to the tab before";
    Up UP "select the name above, or scroll up";
    Down DOWN "select the name below, or scroll down";
    ScrollUp ["k"] "scroll a line up";
    ScrollDown ["j"] "scroll a line down";
    PageUp PAGE_UP "scroll a screen up";
    PageDown PAGE_DOWN "scroll a screen down";
    Top FIRST "go to the top";
    Earlier ["["] "go to the step before, or to columns and levels before";
    Later ["]"] "go to the step after, or to columns and levels further on";
    ColumnLeft ["<"] "scroll a column to the left";
    ColumnRight [">"] "scroll a column to the right";
    Save ["e"] "write what the tab shows to a file";
    Close ["esc", "q", "i"] "close the page";
}

actions! { MachineAction in Context::PanelMachine;
    SortGpu ["g"] "sort by GPU memory";
    SortCpu ["c"] "sort by CPU";
    SortMemory ["M"] "sort by memory";
    SortTime ["t"] "sort by time";
    SortPid ["p"] "sort by PID";
    Up UP_OR_K "scroll a line up";
    Down DOWN_OR_J "scroll a line down";
    PageUp PAGE_UP "scroll half a screen up";
    PageDown PAGE_DOWN "scroll half a screen down";
    Top FIRST "go to the top";
    Close ["esc", "q", "m"] "close the window";
}
