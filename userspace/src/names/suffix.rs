//! temp
/// t
#[derive(Debug)]
pub struct SuffixList;
impl SuffixList {
    /// t
    pub fn labels(&self, _: &[u8]) -> usize {
        1
    }
}
