//! Why a server gave no answer, and whether another attempt may help.

/// What a server or the connection to it did wrong.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The reference is incomplete.
    #[error("the address must be openai:http(s)://HOST[:PORT][/v1]#MODEL")]
    Address,
    /// Servers complete raw text without images only.
    #[error("a raw prompt with images needs a local model")]
    RawPromptWithImages,
    /// The request could not be sent, or there was no reply.
    #[error(transparent)]
    Send(#[from] ureq::Error),
    /// The connection broke during the answer.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// The reading thread ended, or could not be started.
    #[error("the connection broke")]
    Disconnected,
    /// The answer ended without the protocol's last event.
    #[error("the server closed the answer early")]
    ClosedEarly,
    /// A line was longer than any event.
    #[error("the server sent a line of more than {0} bytes")]
    LongLine(u64),
    /// Nothing came for this many seconds.
    #[error("it sent nothing for {0} s")]
    Silent(u64),
    /// An HTTP status that is no success, with the server's message.
    #[error("HTTP {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The server's message, safe to print.
        message: String,
    },
    /// An event of another form.
    #[error("the server sent no chat chunk ({0})")]
    Chunk(#[from] serde_json::Error),
    /// The server's message in the middle of an answer, safe to print.
    #[error("{0}")]
    Reported(String),
}

impl RemoteError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::RawPromptWithImages => "leave out --raw-prompt",
            Self::Status { status: 401 | 403, .. } => "set OPENAI_API_KEY",
            Self::Status { status: 404, .. } => {
                "check that the server has the model whose name follows the #"
            }
            _ => return None,
        };
        Some(hint.into())
    }

    /// Whether the connection is gone, so that nothing more can come.
    pub(super) fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Send(_) | Self::Read(_) | Self::Disconnected | Self::LongLine(_))
    }

    /// Whether the same request may succeed a moment later. A silent server may still be at work:
    /// another request would make it begin again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::ClosedEarly => true,
            // It is loading its model, or busy.
            Self::Status { status, .. } => matches!(status, 429 | 502 | 503),
            e => e.is_lost_connection(),
        }
    }
}
