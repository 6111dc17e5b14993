//! Panels, said in the words of what they show.
//!
//! The constructors know how each visualization looks its best; a dashboard says
//! what is shown: title, description, unit, queries, thresholds. Ids and places
//! are given by `layout`.

use serde_json::{Value, json};

use super::{
    limits::Limit,
    palette::{self, Palette},
    schema::{
        CellOptions, Colouring, Custom, DataSource, Exemplars, FieldConfig, FieldDefaults,
        FilterValues, Format, GridPos, HeatmapAxis, HeatmapColor, HeatmapLegend, HeatmapTooltip,
        Layer, Legend, Location, MapControls, Mapping, Matcher, Mode, Override, Panel, Property,
        Reduce, RowsFrame, SortBy, Stacking, Step, Target, Thresholds, ThresholdsStyle, Tooltip,
        Transformation, View, Visualization,
    },
};

/// What numbers are numbers of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Queries per second.
    Queries,
    /// Other DNS messages per second.
    Messages,
    /// Packets per second.
    Packets,
    /// Records of the rings, or of a stage, per second.
    Records,
    /// Anything else per second.
    Events,
    /// Octets.
    Octets,
    /// Octets per second.
    OctetRate,
    /// 0 to 1.
    Share,
    Seconds,
    /// Things.
    Count,
    /// A number that is no number of things.
    Plain,
    /// Seconds since the Unix epoch, in ms.
    PointInTime,
}

impl Unit {
    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Queries => "reqps",
            Self::Messages => "mps",
            Self::Packets => "pps",
            Self::Records => "recps",
            Self::Events => "eps",
            Self::Octets => "bytes",
            Self::OctetRate => "Bps",
            Self::Share => "percentunit",
            Self::Seconds => "s",
            Self::Count => "short",
            Self::Plain => "none",
            Self::PointInTime => "dateTimeFromNow",
        }
    }
}

/// Lines, or areas on top of each other when stacked.
pub(super) fn time_series(title: &str, description: &str, unit: Unit) -> Panel {
    let visualization = Visualization::TimeSeries {
        legend: Legend {
            calcs: vec!["mean", "max", "lastNotNull"],
            display_mode: "table",
            placement: "bottom",
            show_legend: true,
            sort_by: Some("Mean"),
            sort_desc: Some(true),
        },
        tooltip: tooltip(),
    };
    let mut panel = panel(title, description, unit, visualization);
    panel.field_config.defaults.custom = Some(Custom::TimeSeries {
        draw_style: "line",
        line_width: 1,
        fill_opacity: 10,
        show_points: "never",
        span_nulls: false,
        axis_soft_min: 0,
        stacking: Stacking {
            mode: "none",
            group: "A",
        },
        thresholds_style: ThresholdsStyle { mode: "off" },
    });
    panel.field_config.defaults.color.mode = "palette-classic";
    if unit == Unit::Share {
        panel.field_config.defaults.min = Some(0.0);
    }
    panel
}

/// One number, with its course behind it.
pub(super) fn stat(title: &str, description: &str, unit: Unit) -> Panel {
    let visualization = Visualization::Stat {
        color_mode: "value",
        graph_mode: "area",
        justify_mode: "auto",
        orientation: "auto",
        percent_change_color_mode: "standard",
        reduce_options: last(),
        show_percent_change: false,
        text_mode: "auto",
        wide_layout: true,
    };
    let mut panel = panel(title, description, unit, visualization);
    panel.field_config.defaults.no_value = Some("–");
    panel
}

/// A list of what is greatest, as bars.
pub(super) fn bars(title: &str, description: &str, unit: Unit) -> Panel {
    let visualization = Visualization::BarGauge {
        display_mode: "basic",
        legend: Legend {
            calcs: vec![],
            display_mode: "list",
            placement: "bottom",
            show_legend: false,
            sort_by: None,
            sort_desc: None,
        },
        max_viz_height: 24,
        min_viz_height: 12,
        min_viz_width: 8,
        name_placement: "left",
        orientation: "horizontal",
        reduce_options: last(),
        show_unfilled: true,
        sizing: "auto",
        value_mode: "text",
    };
    let mut panel = panel(title, description, unit, visualization);
    panel.field_config.defaults.min = Some(0.0);
    panel
}

/// A table; each query is a column, and the labels that they have in common too.
pub(super) fn table(title: &str, description: &str, unit: Unit) -> Panel {
    let visualization = Visualization::Table {
        cell_height: "sm",
        frame_index: 0,
        show_header: true,
        sort_by: vec![],
    };
    let mut panel = panel(title, description, unit, visualization);
    panel.field_config.defaults.custom = Some(Custom::Table {
        align: "auto",
        cell_options: CellOptions { kind: "auto" },
        filterable: true,
        inspect: false,
    });
    panel
}

/// What is greatest in the whole time, by labels; bars in the cells.
pub(super) fn top(title: &str, description: &str, query: &str, labels: &[(&str, &str)]) -> Panel {
    let column = "Messages";
    table(title, description, Unit::Count)
        .column(query, column)
        .labels(labels)
        .sorted_by(column)
        .cells(column, json!({"type": "gauge", "mode": "basic"}))
}

/// The course of a distribution, from the buckets of a histogram.
pub(super) fn heatmap(title: &str, description: &str, unit: Unit, buckets: &str) -> Panel {
    let visualization = Visualization::Heatmap {
        calculate: false,
        cell_gap: 1,
        color: HeatmapColor {
            mode: "scheme",
            scheme: "Turbo",
            scale: "exponential",
            exponent: 0.5,
            fill: "dark-orange",
            reverse: false,
            steps: 64,
        },
        exemplars: Exemplars {
            color: "rgba(255,0,255,0.7)",
        },
        filter_values: FilterValues { le: 1e-9 },
        legend: HeatmapLegend { show: true },
        rows_frame: RowsFrame { layout: "auto" },
        show_value: "never",
        tooltip: HeatmapTooltip {
            mode: "single",
            show_color_scale: true,
            y_histogram: false,
        },
        y_axis: HeatmapAxis {
            axis_placement: "left",
            reverse: false,
            unit: unit.id(),
        },
    };
    panel(title, description, unit, visualization).target(
        buckets,
        "{{le}}",
        Format::Heatmap,
        Kind::Range,
    )
}

/// Circles on a map, by the ISO code of a country.
pub(super) fn map(title: &str, description: &str, unit: Unit, query: &str) -> Panel {
    let visualization = Visualization::GeoMap {
        basemap: Layer {
            kind: "default",
            name: "Map",
            config: None,
            location: None,
            tooltip: false,
        },
        controls: MapControls {
            mouse_wheel_zoom: false,
            show_attribution: true,
            show_zoom: true,
        },
        layers: vec![Layer {
            kind: "markers",
            name: "Countries",
            config: Some(json!({
                "showLegend": false,
                "style": {
                    "color": {"fixed": "blue"},
                    "opacity": 0.5,
                    "size": {"field": "Value", "fixed": 5, "min": 3, "max": 30},
                    "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
                },
            })),
            location: Some(Location {
                mode: "lookup",
                lookup: "country_code",
            }),
            tooltip: true,
        }],
        tooltip: Mode { mode: "details" },
        view: View {
            id: "coords",
            lat: 20.0,
            lon: 0.0,
            zoom: 1.5,
        },
    };
    let mut panel = panel(title, description, unit, visualization).target(
        query,
        "{{country_code}}",
        Format::Table,
        Kind::Instant,
    );
    panel.transformations = vec![organize(json!({"Time": true}), json!({}))];
    panel
}

/// States of nodes in the course of time.
pub(super) fn states(title: &str, description: &str, unit: Unit) -> Panel {
    let visualization = Visualization::StateTimeline {
        align_value: "left",
        legend: Legend {
            calcs: vec![],
            display_mode: "list",
            placement: "bottom",
            show_legend: true,
            sort_by: None,
            sort_desc: None,
        },
        merge_values: true,
        row_height: 0.9,
        show_value: "auto",
        tooltip: tooltip(),
    };
    let mut panel = panel(title, description, unit, visualization);
    panel.field_config.defaults.custom = Some(Custom::StateTimeline {
        fill_opacity: 70,
        line_width: 0,
    });
    panel
}

/// Words.
pub(super) fn text(title: &str, content: &str) -> Panel {
    let visualization = Visualization::Text {
        content: content.to_owned(),
        mode: "markdown",
    };
    panel(title, "", Unit::Plain, visualization)
}

/// Over what time a query is evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Instant,
    Range,
}

impl Panel {
    /// A line for each series that a query gives.
    pub(super) fn query(self, expr: &str, legend: &str) -> Self {
        self.target(expr, legend, Format::TimeSeries, Kind::Range)
    }

    /// A bar for each series that a query gives at the end of the time, the
    /// greatest first.
    pub(super) fn now(self, expr: &str, legend: &str) -> Self {
        let sorted = format!("sort_desc({expr})");
        self.target(&sorted, legend, Format::TimeSeries, Kind::Instant)
    }

    /// A column of a table.
    pub(super) fn column(mut self, expr: &str, name: &str) -> Self {
        self = self.target(expr, name, Format::Table, Kind::Instant);
        self.name_columns();
        self
    }

    /// A column of a table with a unit and thresholds of its own.
    pub(super) fn column_of(self, expr: &str, name: &str, unit: Unit, steps: &[Step]) -> Self {
        let mut panel = self.column(expr, name);
        let properties = vec![
            property("unit", json!(unit.id())),
            property("thresholds", json!({"mode": "absolute", "steps": steps})),
            property("custom.cellOptions", json!({"type": "color-text"})),
        ];
        panel.override_column(name, properties);
        panel
    }

    /// The labels of a table in their order, and what they are called.
    pub(super) fn labels(mut self, labels: &[(&str, &str)]) -> Self {
        for (index, (label, name)) in labels.iter().enumerate() {
            self.rename(label, name);
            self.order(label, index);
        }
        self
    }

    /// Labels of a table that are not shown.
    pub(super) fn without(mut self, labels: &[&str]) -> Self {
        for label in labels {
            self.organization()["excludeByName"][*label] = json!(true);
        }
        self
    }

    /// The greatest value of a column first.
    pub(super) fn sorted_by(mut self, column: &str) -> Self {
        if let Visualization::Table { sort_by, .. } = &mut self.visualization {
            sort_by.push(SortBy {
                display_name: column.to_owned(),
                desc: true,
            });
        }
        self
    }

    /// How the cells of a column look.
    fn cells(mut self, column: &str, options: Value) -> Self {
        self.override_column(column, vec![property("custom.cellOptions", options)]);
        self
    }

    /// A link from the values of a column to another dashboard, as the value of a
    /// variable there. What else is chosen is kept.
    pub(super) fn link(mut self, column: &str, title: &str, uid: &str, variable: &str) -> Self {
        let kept = "${datasource:queryparam}&${job:queryparam}&${__url_time_range}";
        let url = format!("/d/{uid}?var-{variable}=${{__value.raw:percentencode}}&{kept}");
        let links = json!([{"title": title, "url": url, "targetBlank": false}]);
        self.override_column(column, vec![property("links", links)]);
        self
    }

    /// Areas on top of each other.
    pub(super) fn stacked(self) -> Self {
        self.stack("normal")
    }

    /// Areas on top of each other, of all that there is.
    pub(super) fn shares(self) -> Self {
        self.stack("percent")
    }

    fn stack(mut self, how: &'static str) -> Self {
        if let Some(Custom::TimeSeries {
            stacking,
            fill_opacity,
            ..
        }) = &mut self.field_config.defaults.custom
        {
            stacking.mode = how;
            *fill_opacity = 60;
        }
        self
    }

    /// Series that are called so go down from the axis.
    pub(super) fn downwards(mut self, name: &str) -> Self {
        let properties = vec![property("custom.transform", json!("negative-Y"))];
        self.override_column(name, properties);
        self
    }

    /// Series in the colours of what they are.
    pub(super) fn coloured(mut self, palette: Palette) -> Self {
        self.field_config
            .overrides
            .extend(palette::overrides(palette));
        self
    }

    /// From when on values are bad; time series show it as lines.
    pub(super) fn thresholds(mut self, steps: Vec<Step>) -> Self {
        let defaults = &mut self.field_config.defaults;
        defaults.thresholds.steps = steps;
        if let Some(Custom::TimeSeries {
            thresholds_style, ..
        }) = &mut defaults.custom
        {
            thresholds_style.mode = "dashed";
        }
        self
    }

    /// The same, of a number that has limits elsewhere as well.
    pub(super) fn limit(self, limit: Limit) -> Self {
        self.thresholds(limit.steps())
    }

    /// Texts for values.
    pub(super) fn told(mut self, values: &[(&str, &str, &str)]) -> Self {
        let options: serde_json::Map<_, _> = values
            .iter()
            .enumerate()
            .map(|(index, (value, text, colour))| {
                let told = json!({"text": text, "color": colour, "index": index});
                ((*value).to_owned(), told)
            })
            .collect();
        self.field_config.defaults.mappings.push(Mapping {
            kind: "value",
            options: Value::Object(options),
        });
        self
    }

    /// The width in columns; else panels share what is left of their line.
    pub(super) fn width(mut self, columns: u32) -> Self {
        self.grid_pos.w = columns;
        self
    }

    /// What stands where there is no value.
    pub(super) fn or_else(mut self, text: &'static str) -> Self {
        self.field_config.defaults.no_value = Some(text);
        self
    }

    fn target(mut self, expr: &str, legend: &str, format: Format, kind: Kind) -> Self {
        let index = u8::try_from(self.targets.len()).unwrap_or(25);
        self.targets.push(Target {
            ref_id: char::from(b'A' + index).to_string(),
            datasource: DataSource::chosen(),
            expr: expr.to_owned(),
            legend_format: legend.to_owned(),
            format,
            instant: kind == Kind::Instant,
            range: kind == Kind::Range,
            editor_mode: "code",
        });
        self
    }

    /// The tables of several queries become one, by the labels that they share; a
    /// single one calls its column otherwise than several do.
    fn name_columns(&mut self) {
        let names: Vec<_> = self
            .targets
            .iter()
            .map(|target| (target.ref_id.clone(), target.legend_format.clone()))
            .collect();
        let kept = self.organization().clone();
        self.transformations = vec![
            Transformation {
                id: "merge",
                options: json!({}),
            },
            organize(kept["excludeByName"].clone(), kept["renameByName"].clone()),
        ];
        if let [(_, name)] = &*names {
            self.rename("Value", name);
            return;
        }
        if let Some(renamed) = self.organization()["renameByName"].as_object_mut() {
            renamed.remove("Value");
        }
        for (index, (ref_id, name)) in names.iter().enumerate() {
            let column = format!("Value #{ref_id}");
            self.rename(&column, name);
            // After all labels.
            self.order(&column, 100 + index);
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.organization()["renameByName"][from] = json!(to);
    }

    fn order(&mut self, column: &str, index: usize) {
        self.organization()["indexByName"][column] = json!(index);
    }

    /// The options of the last transformation, which is the one that names columns.
    fn organization(&mut self) -> &mut Value {
        if self.transformations.is_empty() {
            let hidden = json!({"Time": true});
            self.transformations.push(organize(hidden, json!({})));
        }
        let last = self.transformations.len() - 1;
        &mut self.transformations[last].options
    }

    fn override_column(&mut self, name: &str, properties: Vec<Property>) {
        self.field_config.overrides.push(Override {
            matcher: Matcher {
                id: "byName",
                options: name.to_owned(),
            },
            properties,
        });
    }
}

fn panel(title: &str, description: &str, unit: Unit, visualization: Visualization) -> Panel {
    Panel {
        id: 0,
        title: title.to_owned(),
        description: description.to_owned(),
        visualization,
        datasource: DataSource::chosen(),
        grid_pos: GridPos::default(),
        field_config: FieldConfig {
            defaults: FieldDefaults {
                unit: unit.id(),
                decimals: None,
                min: None,
                max: None,
                no_value: None,
                color: Colouring {
                    mode: "thresholds",
                    fixed_color: None,
                },
                thresholds: Thresholds {
                    mode: "absolute",
                    steps: palette::neutral(),
                },
                mappings: vec![],
                custom: None,
            },
            overrides: vec![],
        },
        targets: vec![],
        transformations: vec![],
    }
}

fn organize(hidden: Value, renamed: Value) -> Transformation {
    Transformation {
        id: "organize",
        options: json!({
            "excludeByName": hidden,
            "indexByName": {},
            "renameByName": renamed,
        }),
    }
}

fn property(id: &'static str, value: Value) -> Property {
    Property { id, value }
}

const fn tooltip() -> Tooltip {
    Tooltip {
        mode: "multi",
        sort: "desc",
    }
}

fn last() -> Reduce {
    Reduce {
        calcs: vec!["lastNotNull"],
        fields: "",
        values: false,
    }
}
