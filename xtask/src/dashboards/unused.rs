//! Families that no panel, alert or recording rule uses, each with the reason.

/// The names as they are scraped.
pub(super) const UNUSED: &[(&str, &str)] = &[
    (
        "process_virtual_memory_bytes",
        "It says how much address space is reserved, rings and sealed databases twice; what is used is `process_resident_memory_bytes`.",
    ),
    (
        "xdsc_viewers",
        "It says who looks at the page of an xdsc; nobody needs to be told of it elsewhere.",
    ),
    ("xdsc_max_viewers", "As `xdsc_viewers`."),
    (
        "xdsc_lost_viewers_total",
        "It is for whoever finds no place at the page of an xdsc.",
    ),
];
