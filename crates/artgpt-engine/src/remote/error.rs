//! Why a server gave no answer, and whether another attempt may help.

use artgpt_base::mask::Mask;
use artgpt_fetch::network::NetworkError;

/// What a server or the connection to it did wrong.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The reference is incomplete.
    #[error("the address must be openai:http(s)://HOST[:PORT][/v1]#MODEL")]
    Address,
    /// The path holds an `@`, which is most likely a part of a password.
    #[error("the address holds an @ after its first /: write a / in a password as %2F")]
    UnescapedLogin,
    /// Servers complete raw text without images only.
    #[error("a raw prompt with images needs a local model")]
    RawPromptWithImages,
    /// The proxy or the certificates cannot be used.
    #[error(transparent)]
    Network(#[from] NetworkError),
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
    /// An event was larger than any chunk.
    #[error("the server sent an event of more than {0} bytes")]
    LargeEvent(usize),
    /// The text has no end.
    #[error("the server sent an answer of more than {0} bytes")]
    LongAnswer(usize),
    /// The reply has no end.
    #[error("the server sent a reply of more than {0} bytes")]
    LongReply(u64),
    /// A compression that was not asked for.
    #[error("the server sent its reply in the encoding {0}")]
    Encoding(String),
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
    /// A reply of another form.
    #[error("the server's reply holds no answer")]
    NoAnswer,
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
            Self::Network(e) => return Some(e.hint()),
            _ => return None,
        };
        Some(hint.into())
    }

    /// Whether the connection is gone, so that nothing more can come.
    pub(super) fn is_lost_connection(&self) -> bool {
        matches!(self, Self::Send(_) | Self::Read(_) | Self::Disconnected)
    }

    /// Whether the same request may succeed a moment later. A silent server may still be at work:
    /// another request would make it begin again.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::ClosedEarly => true,
            // No attempt changes an address, a certificate or a proxy.
            Self::Send(
                ureq::Error::BadUri(_)
                | ureq::Error::HostNotFound
                | ureq::Error::Tls(_)
                | ureq::Error::Rustls(_)
                | ureq::Error::InvalidProxyUrl
                | ureq::Error::Http(_),
            ) => false,
            // It is loading its model, or busy.
            Self::Status { status, .. } => matches!(status, 429 | 502 | 503),
            e => e.is_lost_connection(),
        }
    }

    /// The same error without secrets that the server or a library repeats.
    pub(super) fn masked(self, secrets: &[String]) -> Self {
        let secrets = Mask::with_values(secrets.to_vec());
        let mask = |text: &str| secrets.apply(text).into_owned();
        match self {
            Self::Status { status, message } => Self::Status { status, message: mask(&message) },
            e => {
                let text = e.to_string();
                let masked = mask(&text);
                if masked == text { e } else { Self::Reported(masked) }
            }
        }
    }
}
