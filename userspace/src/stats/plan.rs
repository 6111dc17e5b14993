//! Datasets made ready to run: which of them a query reaches and which a
//! response, what each filter costs, and the rules that indexers go by.

use std::{net::IpAddr, sync::Arc};

use regex::bytes::Regex;

use crate::{
    config::CustomerBy,
    enrich::{
        privacy::Privacy,
        tables::{SharedTables, nothing_known},
    },
    names::{suffix::SuffixList, tld::KnownTlds},
    stats::{
        counts::Sizes,
        dataset::{Dataset, Filter, Indexer, Layer, Measure, Predicate},
        known_names::Wanted,
        locals::Locals,
        observed::Observed,
        qname::Qname,
        response_time,
        route::Route,
        sketches::ClientKey,
        values::CHEAP,
        zones::Zones,
    },
};

/// Whose answers are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// Correct ones.
    #[default]
    None,
    /// Those of DSC 2.15, defects included.
    Dsc,
}

/// What indexers and filters go by.
#[derive(Debug)]
pub struct Rules {
    /// Whose answers are wanted.
    pub compat: Compat,
    /// The local addresses, for the direction of packets; empty live, where the
    /// hook tells.
    pub local: Locals,
    /// Mask of IPv4 clients' networks.
    pub client_v4_mask: u32,
    /// Mask of IPv6 clients' networks.
    pub client_v6_mask: u128,
    /// Suffixes that count as top-level domains.
    pub suffixes: Option<SuffixList>,
    /// The delegated top-level domains.
    pub known_tlds: KnownTlds,
    /// The zones that are served here.
    pub zones: Zones,
    /// Regular expressions on QNAME, which [`Filter::QnameMatches`] counts.
    pub qname_filters: Vec<Regex>,
    /// What is known of addresses and names beside.
    pub tables: SharedTables,
    /// Each engine keeps what is known of so many addresses.
    pub places: usize,
    /// What a customer is told by; the first one that matches counts.
    pub customers_by: Vec<CustomerBy>,
    /// How clients are shown to people, and in Prometheus.
    pub privacy: Privacy,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            compat: Compat::None,
            local: Locals::default(),
            client_v4_mask: 0xffff_ff00,
            client_v6_mask: u128::MAX << 80,
            suffixes: None,
            known_tlds: KnownTlds::default(),
            zones: Zones::default(),
            qname_filters: Vec::new(),
            tables: nothing_known(),
            places: 65_536,
            customers_by: vec![CustomerBy::Zone, CustomerBy::Client],
            privacy: Privacy::Address,
        }
    }
}

impl Rules {
    /// The network of a client, by its first address.
    #[must_use]
    pub fn client_network(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => IpAddr::V4((u32::from(address) & self.client_v4_mask).into()),
            IpAddr::V6(address) => IpAddr::V6((u128::from(address) & self.client_v6_mask).into()),
        }
    }

    /// Labels of the suffix of a name that counts as top-level domain.
    #[must_use]
    pub fn suffix_labels(&self, name: &Qname) -> usize {
        let labels = match (&self.suffixes, self.compat) {
            (None, _) => 1,
            (Some(list), Compat::None) => list.labels(name.whole(), name.starts()),
            (Some(list), Compat::Dsc) => list.dsc_labels(name.whole(), name.starts()),
        };
        labels.max(1)
    }
}

/// Datasets and rules, as an engine runs them.
#[derive(Debug)]
pub struct Plan {
    pub(super) rules: Rules,
    pub(super) datasets: Vec<Arc<Dataset>>,
    pub(super) queries: Way,
    pub(super) responses: Way,
    pub(super) ip: Vec<Step>,
    /// The dataset of the indexer `response_time`: of several, the first one.
    pub(super) timed: Option<Step>,
    /// How response times are put into classes.
    pub(super) times: response_time::Settings,
    /// Whether different clients, and names of zones, are counted.
    pub(super) counts_distinct: bool,
    /// What clients are hashed with.
    pub(super) client_key: ClientKey,
    /// Most joints of each group.
    pub(super) joints: Sizes,
    /// What is wanted of names.
    pub(super) names: Wanted,
}

/// The way of a query, or of a response.
#[derive(Debug)]
pub(super) struct Way {
    /// The datasets that may count it.
    pub(super) steps: Vec<Step>,
    /// The conditions that are not told by a bit of the header, and are wanted.
    pub(super) costly: Vec<Predicate>,
    /// The regular expressions that are wanted, as bits.
    pub(super) qname_filters: u64,
    /// How the steps are gone.
    pub(super) route: Route,
}

impl Way {
    /// One that asks for this filter only.
    #[cfg(test)]
    pub(super) fn of_filter(filter: Filter) -> Self {
        let step = Step {
            dataset: 0,
            required: filter_bit(filter),
            first: Indexer::Null,
            second: Indexer::Null,
            measure: Measure::Messages,
        };
        Self::new(&[step], None, [Predicate::Any; 2], Route::direct)
    }

    /// Of steps, those that do not want the opposite; `implied` holds anyway.
    fn new(
        all: &[Step],
        timed: Option<Step>,
        [implied, opposite]: [Predicate; 2],
        routing: impl FnOnce(&[Step]) -> Route,
    ) -> Self {
        let bit = |predicate| filter_bit(Filter::Is(predicate));
        let possible = |step: &&Step| step.required & bit(opposite) == 0;
        let steps = all.iter().filter(possible).map(|step| Step {
            required: step.required & !bit(implied),
            ..*step
        });
        let steps: Vec<_> = steps.collect();
        let wanted = steps.iter().chain(&timed);
        let wanted = wanted.fold(0, |bits, step| bits | step.required);
        let costly = Predicate::ALL.iter().copied();
        Self {
            costly: costly
                .filter(|predicate| wanted & bit(*predicate) & !CHEAP != 0)
                .collect(),
            qname_filters: wanted & (u64::MAX << Predicate::COUNT),
            route: routing(&steps),
            steps,
        }
    }
}

/// One dataset on the way of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) dataset: u32,
    /// Bits of the conditions that must hold.
    pub(super) required: u64,
    pub(super) first: Indexer,
    pub(super) second: Indexer,
    pub(super) measure: Measure,
}

/// The bit of a filter: predicates first, then regular expressions.
#[must_use]
pub(super) const fn filter_bit(filter: Filter) -> u64 {
    match filter {
        Filter::Is(Predicate::Any) => 0,
        Filter::Is(predicate) => 1 << predicate.index(),
        Filter::QnameMatches(index) => 1 << (Predicate::COUNT + index),
    }
}

/// So many regular expressions can be told apart.
pub const MAX_QNAME_FILTERS: usize = 64 - Predicate::COUNT;

impl Plan {
    /// Of several datasets of the indexer `response_time` only the first one
    /// counts, as with DSC.
    #[must_use]
    pub fn new(datasets: Vec<Dataset>, rules: Rules) -> Self {
        let datasets: Vec<_> = datasets.into_iter().map(Arc::new).collect();
        let step = |(dataset, of): (usize, &Arc<Dataset>)| Step {
            dataset: dataset as u32,
            required: of.filters.iter().fold(0, |bits, f| bits | filter_bit(*f)),
            first: of.dimensions[0].indexer,
            second: of.dimensions[1].indexer,
            measure: of.measure,
        };
        let steps: Vec<Step> = datasets.iter().enumerate().map(step).collect();
        let (timed, counted): (Vec<Step>, Vec<Step>) = steps
            .into_iter()
            .partition(|step| step.second == Indexer::ResponseTime);
        // DSC feeds the datasets of both layers with DNS messages.
        let is_ip = |step: &Step| {
            let layer = datasets
                .get(step.dataset as usize)
                .map(|dataset| dataset.layer);
            layer == Some(Layer::Ip) && rules.compat == Compat::None
        };
        let (ip, dns): (Vec<Step>, Vec<Step>) = counted.into_iter().partition(is_ip);
        let timed = timed.first().copied();
        let mut names = Wanted::default();
        let mut routing = |steps: &[Step]| Route::new(steps, &rules, &mut names);
        let (query, response) = (Predicate::Queries, Predicate::Replies);
        Self {
            queries: Way::new(&dns, timed, [query, response], &mut routing),
            responses: Way::new(&dns, timed, [response, query], &mut routing),
            names,
            rules,
            ip,
            timed,
            times: response_time::Settings::default(),
            datasets,
            counts_distinct: false,
            client_key: ClientKey::random(),
            joints: Sizes::default(),
        }
    }

    /// Different clients are counted, too, and different names of each zone.
    #[must_use]
    pub fn with_distinct_counts(mut self) -> Self {
        self.counts_distinct = true;
        self.queries.route.tells_clients();
        if !self.rules.zones.is_empty() {
            let route = &mut self.queries.route;
            for indexer in [Indexer::Qname, Indexer::Zone] {
                route.tell(indexer, &self.rules, &mut self.names);
            }
        }
        self
    }

    /// Every message is counted in each dataset by itself: what joints are held
    /// against.
    #[must_use]
    pub fn without_joints(mut self) -> Self {
        for way in [&mut self.queries, &mut self.responses] {
            way.route = Route::direct(&way.steps);
        }
        self
    }

    /// With a key that the clients' sketches of other processes have, too.
    #[must_use]
    pub const fn with_client_key(mut self, key: ClientKey) -> Self {
        self.client_key = key;
        self
    }

    /// With room for so many joints of each group.
    #[cfg(test)]
    pub(super) const fn with_joints(mut self, joints: Sizes) -> Self {
        self.joints = joints;
        self
    }

    /// With other classes of response times.
    #[must_use]
    pub fn with_times(mut self, times: response_time::Settings) -> Self {
        self.times = times;
        self
    }

    /// The way of a message.
    #[inline(always)]
    pub(super) const fn way(&self, observed: &Observed<'_>) -> &Way {
        if observed.message.header.is_response() {
            &self.responses
        } else {
            &self.queries
        }
    }

    /// The datasets in the order of the configuration.
    #[must_use]
    pub fn datasets(&self) -> &[Arc<Dataset>] {
        &self.datasets
    }

    /// What indexers go by.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How response times are put into classes.
    #[must_use]
    pub const fn times(&self) -> response_time::Settings {
        self.times
    }

    /// Whether different clients, and names of zones, are counted.
    #[must_use]
    pub const fn counts_distinct(&self) -> bool {
        self.counts_distinct
    }

    /// Whether any dataset counts packets that are no DNS messages.
    #[must_use]
    pub const fn counts_packets(&self) -> bool {
        !self.ip.is_empty()
    }

    /// Whether any dataset tells what is known of addresses.
    #[must_use]
    pub fn reads_places(&self) -> bool {
        let mut datasets = self.datasets.iter();
        datasets.any(|dataset| dataset.is_by(Indexer::reads_place))
    }

    /// Whether any dataset is by an indexer.
    #[must_use]
    pub fn reads(&self, indexer: Indexer) -> bool {
        let mut datasets = self.datasets.iter();
        datasets.any(|dataset| dataset.is_by(|one| one == indexer))
    }

    /// Whether any dataset needs more of a message than its question.
    #[must_use]
    pub fn needs_whole_messages(&self) -> bool {
        self.datasets
            .iter()
            .any(|dataset| dataset.needs_whole_message())
    }
}
