// A dashboard as Grafana's own types have it, with the options of each kind of
// panel beside its `type`: the package itself leaves those open.

import type {
  AnnotationQuery,
  Dashboard,
  DataSourceRef,
  FieldConfig,
  FieldConfigSource,
  Panel,
  RowPanel,
  VariableModel,
} from '@grafana/schema';
import type * as BarGauge from '@grafana/schema/dist/esm/raw/composable/bargauge/panelcfg/x/BarGaugePanelCfg_types.gen';
import type * as Geomap from '@grafana/schema/dist/esm/raw/composable/geomap/panelcfg/x/GeomapPanelCfg_types.gen';
import type * as Heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as Stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as StateTimeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as Table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as Text from '@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen';
import type * as TimeSeries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// Enumerations are texts in JSON.
type Plain<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

// Of the data source's own, which has no types here.
interface Target {
  refId: string;
  datasource: DataSourceRef;
  expr: string;
  legendFormat: string;
  format: 'time_series' | 'table' | 'heatmap';
  instant: boolean;
  range: boolean;
  editorMode: 'code' | 'builder';
}

interface Mark extends AnnotationQuery {
  expr: string;
  titleFormat: string;
  textFormat: string;
  useValueForTime: boolean;
}

interface Fields<Custom> extends Omit<FieldConfigSource, 'defaults'> {
  defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom };
}

interface Of<Type extends string, Options, Custom = never>
  extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Type;
  options: Options;
  fieldConfig: Fields<Custom>;
  targets: Target[];
}

type AnyPanel =
  | Of<'bargauge', BarGauge.Options>
  | Of<'geomap', Geomap.Options>
  | Of<'heatmap', Heatmap.Options, Heatmap.FieldConfig>
  | Of<'stat', Stat.Options>
  | Of<'state-timeline', StateTimeline.Options, StateTimeline.FieldConfig>
  | Of<'table', Table.Options, Partial<Table.FieldConfig>>
  | Of<'text', Text.Options>
  | Of<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>;

interface Row extends Omit<RowPanel, 'panels'> {
  panels: AnyPanel[];
}

interface Whole extends Omit<Dashboard, 'panels' | 'annotations' | 'templating'> {
  panels: Array<AnyPanel | Row>;
  annotations: { list: Mark[] };
  templating: { list: VariableModel[] };
}

export type Checked = Plain<Whole>;
