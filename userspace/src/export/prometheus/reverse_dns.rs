//! What is told of reverse DNS.

use std::fmt;

use prometheus_client::registry::Unit;

use super::Families;
use crate::enrich::reverse_dns::{
    BOUNDS_S, BreakerState, FileStats, Histogram, QueryResult, Request, ReverseDnsStats,
    SharedResult, SharedStats,
};

impl Families<'_> {
    pub(super) fn reverse_dns(&mut self, stats: &ReverseDnsStats) -> fmt::Result {
        self.reverse_dns_requests(stats)?;
        self.reverse_dns_queries(stats)?;
        self.reverse_dns_breaker(stats)?;
        self.reverse_dns_cache(stats)?;
        if let Some(shared) = &stats.shared {
            self.reverse_dns_shared(shared)?;
        }
        if let Some(file) = &stats.file {
            self.reverse_dns_file(file)?;
        }
        Ok(())
    }

    fn reverse_dns_requests(&mut self, stats: &ReverseDnsStats) -> fmt::Result {
        let help = "Requests for the name of an address, by what they were told, which is at once";
        self.counter("reverse_dns_requests", help, |samples| {
            for request in Request::ALL {
                samples.counter([("result", request.label())], stats.requests(*request))?;
            }
            Ok(())
        })?;
        let help = "Addresses that wait to be asked for";
        self.gauge("reverse_dns_queue_length", help, None, |samples| {
            samples.gauge([], stats.queue_length as f64)
        })?;
        let help = "The most addresses that may wait to be asked for";
        self.gauge("reverse_dns_queue_capacity", help, None, |samples| {
            samples.gauge([], stats.queue_capacity as f64)
        })?;
        let help = "Addresses that left the queue unasked, since resolvers were failing";
        self.counter("reverse_dns_dropped_requests", help, |samples| {
            samples.counter([], stats.dropped)
        })?;
        let help = "Time from a request to the moment that its address is asked for";
        self.durations("reverse_dns_queue_wait", help, &stats.waits)
    }

    fn reverse_dns_queries(&mut self, stats: &ReverseDnsStats) -> fmt::Result {
        let help = "Queries sent to resolvers, each message counted. Their rate is limited";
        self.counter("reverse_dns_queries", help, |samples| {
            samples.counter([], stats.queries_sent)
        })?;
        let help = "Queries to resolvers that have ended, by how";
        self.counter("reverse_dns_query_results", help, |samples| {
            for result in QueryResult::ALL {
                samples.counter([("result", result.label())], stats.results(*result))?;
            }
            Ok(())
        })?;
        let help = "Queries to resolvers that had to wait for the limiter";
        self.counter("reverse_dns_limited_queries", help, |samples| {
            samples.counter([], stats.limited)
        })?;
        let help = "Time that queries to resolvers waited for the limiter, in seconds";
        self.counter("reverse_dns_limited_seconds", help, |samples| {
            samples.counter_f64([], stats.limited_s)
        })?;
        let help = "Addresses that are being asked for";
        self.gauge("reverse_dns_in_flight", help, None, |samples| {
            samples.gauge([], stats.in_flight as f64)
        })?;
        let help = "Time from a query to a resolver to its response";
        self.durations("reverse_dns_query_duration", help, &stats.latency)?;
        let help = "Names that count as none, since their own addresses do not lead back";
        self.counter("reverse_dns_unconfirmed_names", help, |samples| {
            samples.counter([], stats.unconfirmed)
        })?;
        let help = "Names of addresses that have several, beside the one that is taken";
        self.counter("reverse_dns_surplus_names", help, |samples| {
            samples.counter([], stats.surplus_names)
        })?;
        let help = "Names that count as none, being the root or too long as text";
        self.counter("reverse_dns_unusable_names", help, |samples| {
            samples.counter([], stats.unusable_names)
        })
    }

    fn reverse_dns_breaker(&mut self, stats: &ReverseDnsStats) -> fmt::Result {
        let help = "Whether resolvers are asked (closed), left alone since they fail (open), or tried (half_open): 1 for the state of now";
        self.breaker("reverse_dns_breaker_state", help, stats.breaker)?;
        let help = "Times that resolvers were left alone, since they failed";
        self.counter("reverse_dns_breaker_openings", help, |samples| {
            samples.counter([], stats.breaker_opened)
        })
    }

    fn reverse_dns_cache(&mut self, stats: &ReverseDnsStats) -> fmt::Result {
        let help = "Requests for the name of an address, by whether something was known in memory";
        self.counter("reverse_dns_cache_lookups", help, |samples| {
            samples.counter([("result", "hit")], stats.cache.hits)?;
            samples.counter([("result", "miss")], stats.cache.misses)
        })?;
        let help = "Addresses in memory that went to make room for others";
        self.counter("reverse_dns_cache_evictions", help, |samples| {
            samples.counter([], stats.cache.evictions)
        })?;
        let help = "Addresses in memory";
        self.gauge("reverse_dns_cache_entries", help, None, |samples| {
            samples.gauge([], stats.cache.entries as f64)
        })?;
        let help = "The most addresses in memory";
        self.gauge("reverse_dns_cache_capacity", help, None, |samples| {
            samples.gauge([], stats.cache.capacity as f64)
        })
    }

    fn reverse_dns_shared(&mut self, shared: &SharedStats) -> fmt::Result {
        let help = "Addresses looked for in the cache that a fleet shares, by what came of it";
        self.counter("reverse_dns_redis_lookups", help, |samples| {
            for (result, count) in SharedResult::ALL.iter().zip(shared.reads) {
                samples.counter([("result", result.label())], count)?;
            }
            Ok(())
        })?;
        let help = "Names offered to the cache that a fleet shares, by whether it took them";
        self.counter("reverse_dns_redis_writes", help, |samples| {
            samples.counter([("result", "ok")], shared.written)?;
            samples.counter([("result", "error")], shared.unwritten)
        })?;
        let help = "Whether the cache that a fleet shares is asked (closed), left alone since it fails (open), or tried (half_open): 1 for the state of now";
        self.breaker("reverse_dns_redis_breaker_state", help, shared.breaker)
    }

    fn reverse_dns_file(&mut self, file: &FileStats) -> fmt::Result {
        let help =
            "Lines of the file that keeps names over restarts, by what became of them at the start";
        self.counter("reverse_dns_file_lines", help, |samples| {
            samples.counter([("result", "loaded")], file.loaded)?;
            samples.counter([("result", "expired")], file.expired)?;
            samples.counter([("result", "dropped")], file.dropped)
        })?;
        let help =
            "When the names were written last, in seconds since the Unix epoch; 0 before that";
        let name = "reverse_dns_file_last_write_timestamp";
        self.gauge(name, help, Some(&Unit::Seconds), |samples| {
            samples.gauge([], file.written_s)
        })?;
        let help = "Times that the names could not be written; the log says why";
        self.counter("reverse_dns_file_errors", help, |samples| {
            samples.counter([], file.errors)
        })
    }

    fn breaker(&mut self, name: &str, help: &str, now: BreakerState) -> fmt::Result {
        self.gauge(name, help, None, |samples| {
            for state in BreakerState::ALL {
                let value = if state == now { 1.0 } else { 0.0 };
                samples.gauge([("state", state.label())], value)?;
            }
            Ok(())
        })
    }

    fn durations(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let bounds = BOUNDS_S.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(histogram.buckets).collect();
        self.histogram(name, help, &Unit::Seconds, |samples| {
            samples.histogram([], histogram.sum_s, histogram.count(), &buckets)
        })
    }
}
