//! The thread and its subscribers.
