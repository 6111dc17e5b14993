//! temp
/// t
#[derive(Debug, Default)]
pub struct KnownTlds;
impl KnownTlds {
    /// t
    pub fn contains(&self, _: &[u8]) -> bool {
        true
    }
    /// t
    pub fn state(&self, _: &[u8]) -> TldState {
        TldState::Delegated
    }
}
dns_wire::table! {
/// t
pub enum TldState {
 /// d
 Delegated = "delegated",
 /// d
 SpecialUse = "special_use",
 /// d
 Unknown = "unknown",
} }
