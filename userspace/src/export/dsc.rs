//! DSC's files, for the presenters that read them.

dns_wire::table! {
    /// The formats of DSC's files; the label is the end of their names.
    pub enum Format {
        /// DSC XML.
        Xml = "xml",
        /// DSC JSON.
        Json = "json",
    }
}
