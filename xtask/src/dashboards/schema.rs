//! The parts of Grafana's dashboard schema that our dashboards use.
//!
//! Field for field as `@grafana/schema` has them; a test compiles the JSON against
//! that package. Nothing here knows what a dashboard shows.

use serde::Serialize;
use serde_json::Value;

/// That of Grafana 11.0: later ones migrate it when they load it.
pub(super) const SCHEMA_VERSION: u32 = 39;

/// A dashboard.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Dashboard {
    pub(super) uid: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) tags: Vec<String>,
    pub(super) schema_version: u32,
    pub(super) editable: bool,
    /// 1: a crosshair in all panels at once.
    pub(super) graph_tooltip: u8,
    pub(super) refresh: String,
    pub(super) time: TimeRange,
    pub(super) timezone: String,
    pub(super) links: Vec<DashboardLink>,
    pub(super) templating: Templating,
    pub(super) annotations: Annotations,
    pub(super) panels: Vec<Item>,
}

#[derive(Debug, Serialize)]
pub(super) struct TimeRange {
    pub(super) from: String,
    pub(super) to: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DashboardLink {
    pub(super) title: String,
    pub(super) tooltip: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) tags: Vec<String>,
    pub(super) icon: String,
    pub(super) as_dropdown: bool,
    pub(super) include_vars: bool,
    pub(super) keep_time: bool,
    pub(super) target_blank: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Templating {
    pub(super) list: Vec<Variable>,
}

/// A variable that the user chooses.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Variable {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datasource: Option<DataSource>,
    pub(super) query: VariableQuery,
    pub(super) refresh: u8,
    pub(super) sort: u8,
    pub(super) multi: bool,
    pub(super) include_all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) all_value: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<Chosen>,
    pub(super) hide: u8,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum VariableQuery {
    /// The type of a data source.
    Plugin(&'static str),
    /// A query to the data source.
    #[serde(rename_all = "camelCase")]
    Prometheus { query: String, ref_id: &'static str },
}

#[derive(Debug, Serialize)]
pub(super) struct Chosen {
    pub(super) text: Vec<&'static str>,
    pub(super) value: Vec<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct DataSource {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) uid: &'static str,
}

impl DataSource {
    /// The one that the variable names.
    pub(super) const fn chosen() -> Self {
        Self {
            kind: "prometheus",
            uid: "${datasource}",
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Annotations {
    pub(super) list: Vec<Annotation>,
}

/// Marks on the time axis. What is beside the schema is Prometheus's own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Annotation {
    pub(super) name: String,
    pub(super) datasource: DataSource,
    pub(super) enable: bool,
    pub(super) hide: bool,
    pub(super) icon_color: String,
    pub(super) expr: String,
    pub(super) title_format: String,
    pub(super) text_format: String,
    pub(super) use_value_for_time: bool,
}

/// What stands on a dashboard.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Item {
    Panel(Box<Panel>),
    Row(Row),
}

/// The heading of a section; holds its panels while it is collapsed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) id: u32,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) title: String,
    pub(super) collapsed: bool,
    pub(super) grid_pos: GridPos,
    pub(super) panels: Vec<Panel>,
}

/// A place in the grid of 24 columns.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct GridPos {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) w: u32,
    pub(super) h: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Panel {
    pub(super) id: u32,
    pub(super) title: String,
    pub(super) description: String,
    #[serde(flatten)]
    pub(super) visualization: Visualization,
    pub(super) datasource: DataSource,
    pub(super) grid_pos: GridPos,
    pub(super) field_config: FieldConfig,
    pub(super) targets: Vec<Target>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) transformations: Vec<Transformation>,
}

/// A query.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) ref_id: String,
    pub(super) datasource: DataSource,
    pub(super) expr: String,
    pub(super) legend_format: String,
    pub(super) format: Format,
    pub(super) instant: bool,
    pub(super) range: bool,
    pub(super) editor_mode: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Format {
    TimeSeries,
    Table,
    Heatmap,
}

#[derive(Debug, Serialize)]
pub(super) struct Transformation {
    pub(super) id: &'static str,
    pub(super) options: Value,
}

#[derive(Debug, Serialize)]
pub(super) struct FieldConfig {
    pub(super) defaults: FieldDefaults,
    pub(super) overrides: Vec<Override>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FieldDefaults {
    pub(super) unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) decimals: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) no_value: Option<&'static str>,
    pub(super) color: Colouring,
    pub(super) thresholds: Thresholds,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) mappings: Vec<Mapping>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) custom: Option<Custom>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Colouring {
    pub(super) mode: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fixed_color: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Thresholds {
    pub(super) mode: &'static str,
    pub(super) steps: Vec<Step>,
}

/// From this value on, this colour. The first one has no value.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Step {
    pub(super) color: &'static str,
    pub(super) value: Option<f64>,
}

/// A text instead of a number.
#[derive(Debug, Serialize)]
pub(super) struct Mapping {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) options: Value,
}

#[derive(Debug, Serialize)]
pub(super) struct Override {
    pub(super) matcher: Matcher,
    pub(super) properties: Vec<Property>,
}

#[derive(Debug, Serialize)]
pub(super) struct Matcher {
    pub(super) id: &'static str,
    pub(super) options: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Property {
    pub(super) id: &'static str,
    pub(super) value: Value,
}

/// What a visualization has of its own for each field.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Custom {
    #[serde(rename_all = "camelCase")]
    TimeSeries {
        draw_style: &'static str,
        line_width: u8,
        fill_opacity: u8,
        show_points: &'static str,
        span_nulls: bool,
        axis_soft_min: u8,
        stacking: Stacking,
        thresholds_style: ThresholdsStyle,
    },
    #[serde(rename_all = "camelCase")]
    Table {
        align: &'static str,
        cell_options: CellOptions,
        filterable: bool,
        inspect: bool,
    },
    #[serde(rename_all = "camelCase")]
    StateTimeline { fill_opacity: u8, line_width: u8 },
}

#[derive(Debug, Serialize)]
pub(super) struct Stacking {
    pub(super) mode: &'static str,
    pub(super) group: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct ThresholdsStyle {
    pub(super) mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct CellOptions {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
}

/// How a panel looks.
#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "options", rename_all = "lowercase")]
pub(super) enum Visualization {
    #[serde(rename_all = "camelCase")]
    TimeSeries {
        legend: Legend,
        tooltip: Tooltip,
    },
    #[serde(rename_all = "camelCase")]
    Stat {
        color_mode: &'static str,
        graph_mode: &'static str,
        justify_mode: &'static str,
        orientation: &'static str,
        percent_change_color_mode: &'static str,
        reduce_options: Reduce,
        show_percent_change: bool,
        text_mode: &'static str,
        wide_layout: bool,
    },
    #[serde(rename_all = "camelCase")]
    Table {
        cell_height: &'static str,
        frame_index: u8,
        show_header: bool,
        sort_by: Vec<SortBy>,
    },
    #[serde(rename_all = "camelCase")]
    BarGauge {
        display_mode: &'static str,
        legend: Legend,
        max_viz_height: u32,
        min_viz_height: u32,
        min_viz_width: u32,
        name_placement: &'static str,
        orientation: &'static str,
        reduce_options: Reduce,
        show_unfilled: bool,
        sizing: &'static str,
        value_mode: &'static str,
    },
    #[serde(rename_all = "camelCase")]
    Heatmap {
        calculate: bool,
        cell_gap: u8,
        color: HeatmapColor,
        exemplars: Exemplars,
        filter_values: FilterValues,
        legend: HeatmapLegend,
        rows_frame: RowsFrame,
        show_value: &'static str,
        tooltip: HeatmapTooltip,
        y_axis: HeatmapAxis,
    },
    #[serde(rename_all = "camelCase")]
    GeoMap {
        basemap: Layer,
        controls: MapControls,
        layers: Vec<Layer>,
        tooltip: Mode,
        view: View,
    },
    #[serde(rename = "state-timeline", rename_all = "camelCase")]
    StateTimeline {
        align_value: &'static str,
        legend: Legend,
        merge_values: bool,
        row_height: f64,
        show_value: &'static str,
        tooltip: Tooltip,
    },
    Text {
        content: String,
        mode: &'static str,
    },
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Legend {
    pub(super) calcs: Vec<&'static str>,
    pub(super) display_mode: &'static str,
    pub(super) placement: &'static str,
    pub(super) show_legend: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sort_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sort_desc: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tooltip {
    pub(super) mode: &'static str,
    pub(super) sort: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Mode {
    pub(super) mode: &'static str,
}

#[derive(Debug, Serialize)]
pub(super) struct Reduce {
    pub(super) calcs: Vec<&'static str>,
    pub(super) fields: &'static str,
    pub(super) values: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SortBy {
    pub(super) display_name: String,
    pub(super) desc: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct HeatmapColor {
    pub(super) mode: &'static str,
    pub(super) scheme: &'static str,
    pub(super) scale: &'static str,
    pub(super) exponent: f64,
    pub(super) fill: &'static str,
    pub(super) reverse: bool,
    pub(super) steps: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct Exemplars {
    pub(super) color: &'static str,
}

/// What is not shown: cells with nothing in them.
#[derive(Debug, Serialize)]
pub(super) struct FilterValues {
    pub(super) le: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct HeatmapLegend {
    pub(super) show: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct RowsFrame {
    pub(super) layout: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeatmapTooltip {
    pub(super) mode: &'static str,
    pub(super) show_color_scale: bool,
    pub(super) y_histogram: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HeatmapAxis {
    pub(super) axis_placement: &'static str,
    pub(super) reverse: bool,
    pub(super) unit: &'static str,
}

/// A layer of a map.
#[derive(Debug, Serialize)]
pub(super) struct Layer {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) config: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<Location>,
    pub(super) tooltip: bool,
}

/// Where a value is: a code that is looked up in Grafana's list of countries,
/// which is the one that it takes when none is named.
#[derive(Debug, Serialize)]
pub(super) struct Location {
    pub(super) mode: &'static str,
    pub(super) lookup: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MapControls {
    pub(super) mouse_wheel_zoom: bool,
    pub(super) show_attribution: bool,
    pub(super) show_zoom: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct View {
    pub(super) id: &'static str,
    pub(super) lat: f64,
    pub(super) lon: f64,
    pub(super) zoom: f64,
}
