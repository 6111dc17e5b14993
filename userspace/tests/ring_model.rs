//! The ring's protocol under every order that the memory model allows.
//!
//! A model of both sides with the orderings that they use: the kernel's release
//! of `HEAD`, the daemon's acquire of it, and the same for `TAIL`, which the kernel
//! reads plainly: that it writes only after it has looked stands for the acquire. The lines are
//! cells that loom watches: a write that meets a read, or a read of what is not
//! yet published, fails the test. The tally behind the control words is counted
//! into once a record is published, with no ordering of its own.

use loom::{
    cell::UnsafeCell,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// Lines of the model's ring.
const LINES: u64 = 2;
/// Records that go through it: it wraps.
const RECORDS: u64 = 4;

struct Ring {
    head: AtomicU64,
    tail: AtomicU64,
    /// The tally's cell of records delivered.
    delivered: AtomicU64,
    lines: [UnsafeCell<u64>; LINES as usize],
}

impl Ring {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            lines: [UnsafeCell::new(u64::MAX), UnsafeCell::new(u64::MAX)],
        })
    }

    fn line(&self, position: u64) -> &UnsafeCell<u64> {
        &self.lines[(position % LINES) as usize]
    }
}

/// Puts records in while there is room; how many were lost.
fn produce(ring: &Ring) -> u64 {
    let (mut head, mut lost, mut tail_seen) = (0, 0, 0);
    for _ in 0..RECORDS {
        if head + 1 - tail_seen > LINES {
            tail_seen = ring.tail.load(Ordering::Acquire);
        }
        if head + 1 - tail_seen > LINES {
            lost += 1;
            continue;
        }
        // SAFETY: the line is beyond the head, so the consumer keeps off it.
        ring.line(head).with_mut(|line| unsafe { *line = head });
        head += 1;
        ring.head.store(head, Ordering::Release);
        ring.delivered.store(head, Ordering::Relaxed);
    }
    lost
}

/// Reads what is there, then frees it all at once; the new tail.
fn drain(ring: &Ring, mut tail: u64) -> u64 {
    let head = ring.head.load(Ordering::Acquire);
    while tail != head {
        // SAFETY: the line is between tail and head, so the producer keeps off it.
        let position = ring.line(tail).with(|line| unsafe { *line });
        assert_eq!(position, tail, "a record of another round");
        tail += 1;
    }
    ring.tail.store(tail, Ordering::Release);
    tail
}

#[test]
fn every_record_is_read_as_it_was_written_or_counted_as_lost() {
    loom::model(|| {
        let ring = Ring::new();
        let producer = thread::spawn({
            let ring = Arc::clone(&ring);
            move || produce(&ring)
        });
        let mut tail = 0;
        for _ in 0..2 {
            tail = drain(&ring, tail);
        }
        let lost = producer.join().expect("the producer ends");
        assert_eq!(drain(&ring, tail) + lost, RECORDS);
    });
}

/// Whoever is asked how far the reader is behind looks at the head first and at
/// the tally then.
#[test]
fn the_tally_is_at_most_one_record_behind_what_is_published() {
    loom::model(|| {
        let ring = Ring::new();
        let producer = thread::spawn({
            let ring = Arc::clone(&ring);
            move || produce(&ring)
        });
        for _ in 0..2 {
            let head = ring.head.load(Ordering::Acquire);
            let delivered = ring.delivered.load(Ordering::Acquire);
            assert!(delivered + 1 >= head, "{delivered} delivered of {head}");
        }
        let lost = producer.join().expect("the producer ends");
        assert_eq!(ring.delivered.load(Ordering::Acquire) + lost, RECORDS);
    });
}
