//! Runs effects on tokio's blocking pool, so that a slow disk does not hold up the screen.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Semaphore, oneshot};

use super::message::Message;

/// Effects that run at the same time; others wait. Each [`Queue`] has one more.
const MAX_RUNNING: usize = 8;
/// Threads that this needs at most.
pub(crate) const MAX_THREADS: usize = MAX_RUNNING + Queue::COUNT;

/// Effects of one queue run one after the other, in the order in which they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Queue {
    /// The panel's saved state.
    SavedState,
    /// The file of notes.
    Notes,
    /// Requests to jobs.
    Jobs,
}

impl Queue {
    const COUNT: usize = 3;
}

type Work = Box<dyn FnOnce() + Send>;
/// What waits in each queue that has work.
type Queues = Arc<Mutex<HashMap<Queue, VecDeque<Work>>>>;

/// Runs work, and sends what becomes of it.
#[derive(Clone)]
pub(crate) struct Executor {
    pool: Handle,
    messages: UnboundedSender<Message>,
    slots: Arc<Semaphore>,
    queues: Queues,
}

impl Executor {
    /// In the context of a tokio runtime.
    pub(crate) fn new(messages: UnboundedSender<Message>) -> Self {
        let slots = Arc::new(Semaphore::new(MAX_RUNNING));
        Self { pool: Handle::current(), messages, slots, queues: Queues::default() }
    }

    /// Runs work when a thread is free. Sends its message, if it has one, or `panicked` where it
    /// panics.
    pub(crate) fn run<M: Into<Message> + Send + 'static, R: Into<Option<M>>>(
        &self,
        panicked: M,
        work: impl FnOnce() -> R + Send + 'static,
    ) {
        let (slots, work) = (self.slots.clone(), self.sending(panicked, work));
        self.pool.spawn(async move {
            // The semaphore is never closed.
            let Ok(_slot) = slots.acquire().await else { return };
            let _ = tokio::task::spawn_blocking(work).await;
        });
    }

    /// Runs work after all that came before it in this queue.
    pub(crate) fn run_in_order<M: Into<Message> + Send + 'static, R: Into<Option<M>>>(
        &self,
        queue: Queue,
        panicked: M,
        work: impl FnOnce() -> R + Send + 'static,
    ) {
        self.push(queue, self.sending(panicked, work));
    }

    /// Waits until everything in a queue is done.
    pub(crate) async fn flush(&self, queue: Queue) {
        let (done, reached) = oneshot::channel();
        self.push(
            queue,
            Box::new(move || {
                let _ = done.send(());
            }),
        );
        let _ = reached.await;
    }

    fn push(&self, queue: Queue, work: Work) {
        match lock(&self.queues).entry(queue) {
            std::collections::hash_map::Entry::Occupied(mut waiting) => {
                waiting.get_mut().push_back(work);
            }
            std::collections::hash_map::Entry::Vacant(idle) => {
                idle.insert(VecDeque::new());
                self.pool.spawn(drain(self.queues.clone(), queue, work));
            }
        }
    }

    /// The work with its message. A panic in a decoder is no reason to end the program.
    fn sending<M: Into<Message> + Send + 'static, R: Into<Option<M>>>(
        &self,
        panicked: M,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Work {
        let messages = self.messages.clone();
        Box::new(move || {
            let message = match artgpt_base::panics::guarded(work) {
                Ok(message) => message.into(),
                Err(_) => Some(panicked),
            };
            // Nobody listens once the loop has ended.
            let _ = message.map(|message| messages.send(message.into()));
        })
    }
}

/// Works through one queue until it is empty.
async fn drain(queues: Queues, queue: Queue, first: Work) {
    let mut next = Some(first);
    while let Some(work) = next {
        let _ = tokio::task::spawn_blocking(work).await;
        let mut queues = lock(&queues);
        next = queues.get_mut(&queue).and_then(VecDeque::pop_front);
        if next.is_none() {
            queues.remove(&queue);
        }
    }
}

fn lock(queues: &Queues) -> MutexGuard<'_, HashMap<Queue, VecDeque<Work>>> {
    queues.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).build().expect("a runtime")
    }

    fn pasted(text: impl Into<String>) -> Message {
        Message::Paste(text.into())
    }

    async fn texts(inbox: &mut UnboundedReceiver<Message>, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            match inbox.recv().await {
                Some(Message::Paste(text)) => texts.push(text),
                other => panic!("{other:?}"),
            }
        }
        texts
    }

    #[test]
    fn a_queue_keeps_the_order_and_others_pass_it() {
        runtime().block_on(async {
            let (messages, mut inbox) = unbounded_channel();
            let executor = Executor::new(messages);
            let (go, held) = channel::<()>();
            executor.run_in_order(Queue::Jobs, pasted("panic"), move || {
                held.recv().expect("goes on");
                pasted("0")
            });
            for i in 1..50 {
                executor.run_in_order(Queue::Jobs, pasted("panic"), move || pasted(i.to_string()));
            }
            executor.run_in_order(Queue::SavedState, pasted("panic"), || pasted("saved"));
            executor.flush(Queue::SavedState).await;
            assert_eq!(texts(&mut inbox, 1).await, ["saved"]);
            go.send(()).expect("waits");
            executor.flush(Queue::Jobs).await;
            let wanted: Vec<String> = (0..50).map(|i| i.to_string()).collect();
            assert_eq!(texts(&mut inbox, 50).await, wanted);
        });
    }

    #[test]
    fn only_so_many_run_at_the_same_time() {
        runtime().block_on(async {
            let (messages, mut inbox) = unbounded_channel();
            let executor = Executor::new(messages);
            let running = Arc::new(AtomicUsize::new(0));
            let most = Arc::new(AtomicUsize::new(0));
            for _ in 0..40 {
                let (running, most) = (running.clone(), most.clone());
                executor.run(pasted("panic"), move || {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    pasted("done")
                });
            }
            assert_eq!(texts(&mut inbox, 40).await.len(), 40);
            assert!(most.load(Ordering::SeqCst) <= MAX_RUNNING);
        });
    }

    #[test]
    fn a_panic_is_a_message_and_the_queue_goes_on() {
        runtime().block_on(async {
            let (messages, mut inbox) = unbounded_channel();
            let executor = Executor::new(messages);
            executor.run_in_order(Queue::Jobs, pasted("panicked"), || -> Message {
                panic!("a decoder's")
            });
            executor.run_in_order(Queue::Jobs, pasted("panicked"), || pasted("next"));
            assert_eq!(texts(&mut inbox, 2).await, ["panicked", "next"]);
        });
    }
}
