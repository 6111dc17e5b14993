//! The statement `dataset NAME LAYER LABEL:INDEXER LABEL:INDEXER [FILTERS]
//! [min-count=N] [max-cells=N];`, filters being separated by commas.

use std::num::{NonZeroU32, NonZeroU64};

use super::QnameFilter;
use super::judge::Judge;
use super::statement::{Statement, Word};
use crate::stats::dataset::{Dataset, Dimension, Filter, Indexer, Layer, Measure, Predicate};

/// The dataset that the statement declares; `None` when there are errors.
pub(super) fn read(
    judge: &mut Judge<'_>,
    others: &[Dataset],
    qname_filters: &[QnameFilter],
    statement: &Statement<'_>,
) -> Option<Dataset> {
    let [name_word, layer_word, first, second, rest @ ..] = statement.arguments.as_slice() else {
        let hint = "write `dataset NAME LAYER LABEL:INDEXER LABEL:INDEXER FILTERS;`";
        judge.error(statement.name, "lacks arguments", hint);
        return None;
    };
    // All of them are read before the first failure returns.
    let name = name(judge, others, *name_word);
    let layer = layer(judge, *layer_word);
    let dimensions = [dimension(judge, *first), dimension(judge, *second)];
    let options = Options::read(judge, qname_filters, rest);
    let [Some(first_dimension), Some(second_dimension)] = dimensions else {
        return None;
    };
    if (first_dimension.label).eq_ignore_ascii_case(&second_dimension.label) {
        let hint = "give each dimension a label of its own";
        judge.error(*second, "has the label of the other dimension", hint);
        return None;
    }
    let options = options?;
    let mut dataset = Dataset {
        name: name?,
        layer: layer?,
        dimensions: [first_dimension, second_dimension],
        filters: options.filters,
        measure: Measure::Messages,
        min_count: options.min_count,
        max_cells: options.max_cells,
    };
    settle_layer(judge, &mut dataset, *layer_word);
    Some(dataset)
}

fn name(judge: &mut Judge<'_>, others: &[Dataset], word: Word<'_>) -> Option<String> {
    if !is_name(word.text) {
        let hint = "write letters, digits and `_`, a letter first";
        judge.error(word, "is not the name of a dataset", hint);
        return None;
    }
    let taken = |dataset: &Dataset| dataset.name.eq_ignore_ascii_case(word.text);
    if others.iter().any(taken) {
        judge.error(word, "is the name of another dataset", "rename one of them");
        return None;
    }
    Some(word.text.to_owned())
}

fn layer(judge: &mut Judge<'_>, word: Word<'_>) -> Option<Layer> {
    let found = (Layer::ALL.iter()).find(|layer| layer.label() == word.text);
    if found.is_none() {
        judge.error(word, "is not a layer", "write `dns` or `ip`");
    }
    found.copied()
}

fn dimension(judge: &mut Judge<'_>, word: Word<'_>) -> Option<Dimension> {
    let Some((label, indexer)) = word.text.split_once(':') else {
        let hint = "write `LABEL:INDEXER`, such as `Qtype:qtype`";
        judge.error(word, "is not a dimension", hint);
        return None;
    };
    let found = Indexer::from_name(indexer);
    if found.is_none() {
        let names = Indexer::ALL.iter().map(|one| one.label());
        let place = word.part(label.len() + 1, indexer);
        judge.unknown(place, "an indexer", names);
    }
    if !is_name(label) {
        let hint = "write letters, digits and `_`, a letter first";
        judge.error(word, "has no proper label", hint);
        return None;
    }
    found.map(|indexer| Dimension {
        label: label.to_owned(),
        indexer,
    })
}

#[derive(Default)]
struct Options {
    filters: Vec<Filter>,
    min_count: Option<NonZeroU64>,
    max_cells: Option<NonZeroU32>,
}

impl Options {
    fn read(
        judge: &mut Judge<'_>,
        qname_filters: &[QnameFilter],
        words: &[Word<'_>],
    ) -> Option<Self> {
        let mut options = Self::default();
        let mut sound = true;
        for (index, word) in words.iter().enumerate() {
            let read = match word.text.split_once('=') {
                Some((key, value)) => options.limit(judge, *word, key, value),
                None if index == 0 => options.filters(judge, qname_filters, *word),
                None => {
                    let hint = "separate filters by commas, without blanks";
                    judge.error(*word, "is neither `min-count=N` nor `max-cells=N`", hint);
                    None
                }
            };
            sound &= read.is_some();
        }
        sound.then_some(options)
    }

    /// DSC takes 0 for no limit.
    fn limit(
        &mut self,
        judge: &mut Judge<'_>,
        word: Word<'_>,
        key: &str,
        value: &str,
    ) -> Option<()> {
        let place = word.part(key.len() + 1, value);
        match key {
            "min-count" => {
                self.min_count = NonZeroU64::new(judge.number_in(place, 0..=u64::MAX)?);
            }
            "max-cells" => {
                self.max_cells = NonZeroU32::new(judge.number_in(place, 0..=u32::MAX)?);
            }
            _ => {
                let known = ["min-count", "max-cells"];
                judge.unknown(word.part(0, key), "a parameter of datasets", known);
                return None;
            }
        }
        Some(())
    }

    fn filters(
        &mut self,
        judge: &mut Judge<'_>,
        qname_filters: &[QnameFilter],
        word: Word<'_>,
    ) -> Option<()> {
        let mut offset = 0;
        let mut sound = true;
        for name in word.text.split(',') {
            let found = filter(judge, qname_filters, word.part(offset, name));
            offset += name.len() + 1;
            sound &= found.is_some();
            self.filters.extend(found);
        }
        sound.then_some(())
    }
}

fn filter(judge: &mut Judge<'_>, own: &[QnameFilter], word: Word<'_>) -> Option<Filter> {
    let found = Predicate::from_name(word.text).map(Filter::Is).or_else(|| {
        let index = own.iter().position(|filter| filter.name == word.text)?;
        Some(Filter::QnameMatches(index))
    });
    if found.is_none() {
        let builtin = Predicate::ALL.iter().map(|one| one.label());
        let names = builtin.chain(own.iter().map(|filter| filter.name.as_str()));
        judge.unknown(word, "a filter", names);
    }
    found
}

/// DSC does not care for the layer: what only messages have, it counts of
/// messages.
fn settle_layer(judge: &mut Judge<'_>, dataset: &mut Dataset, word: Word<'_>) {
    let indexers = (dataset.dimensions.iter()).all(|dimension| dimension.indexer.suits_ip());
    let filters = (dataset.filters.iter()).all(|filter| *filter == Filter::Is(Predicate::Any));
    if dataset.layer == Layer::Ip && !(indexers && filters) {
        dataset.layer = Layer::Dns;
        let what = format!("ip of {}", dataset.name);
        let why = "an indexer or filter of it looks at DNS messages, so it counts those";
        judge.ignore(word, &what, why);
    }
}

fn is_name(text: &str) -> bool {
    let word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_';
    let starts = |octet: u8| word(octet) && !octet.is_ascii_digit();
    text.bytes().next().is_some_and(starts) && text.bytes().all(word)
}
