/**
 * The schema of a model configuration, as data: the parser, the validation of options and the TypeScript types all
 * come from it. Field names and numbers are those of Triton's public `model_config.proto`, so that any `config.pbtxt`
 * written for Triton is read here; `test/unit/repository/schema.test.ts` holds the list against Triton's.
 *
 * Type names are flat (`ModelVersionPolicyLatest`), which the text format never shows.
 */
export interface FieldSpec {
  readonly id: number
  /** A scalar type, or a name in {@link ENUMS} or {@link MESSAGES}. */
  readonly type: string
  readonly rule?: 'repeated'
  /** Set on maps: the type of their keys. */
  readonly keyType?: string
}

/** Enumerations: value name to number. */
export const ENUMS = {
  DataType: {
    TYPE_INVALID: 0,
    TYPE_BOOL: 1,
    TYPE_UINT8: 2,
    TYPE_UINT16: 3,
    TYPE_UINT32: 4,
    TYPE_UINT64: 5,
    TYPE_INT8: 6,
    TYPE_INT16: 7,
    TYPE_INT32: 8,
    TYPE_INT64: 9,
    TYPE_FP16: 10,
    TYPE_FP32: 11,
    TYPE_FP64: 12,
    TYPE_STRING: 13,
    TYPE_BF16: 14,
  },
  InstanceGroupKind: { KIND_AUTO: 0, KIND_GPU: 1, KIND_CPU: 2, KIND_MODEL: 3 },
  SecondaryDeviceKind: { KIND_NVDLA: 0 },
  InputFormat: { FORMAT_NONE: 0, FORMAT_NHWC: 1, FORMAT_NCHW: 2 },
  BatchInputKind: {
    BATCH_ELEMENT_COUNT: 0,
    BATCH_ACCUMULATED_ELEMENT_COUNT: 1,
    BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO: 2,
    BATCH_MAX_ELEMENT_COUNT_AS_SHAPE: 3,
    BATCH_ITEM_SHAPE: 4,
    BATCH_ITEM_SHAPE_FLATTEN: 5,
  },
  BatchOutputKind: { BATCH_SCATTER_WITH_INPUT_SHAPE: 0 },
  ModelPriority: { PRIORITY_DEFAULT: 0, PRIORITY_MAX: 1, PRIORITY_MIN: 2 },
  TimeoutAction: { REJECT: 0, DELAY: 1 },
  SequenceControlKind: {
    CONTROL_SEQUENCE_START: 0,
    CONTROL_SEQUENCE_READY: 1,
    CONTROL_SEQUENCE_END: 2,
    CONTROL_SEQUENCE_CORRID: 3,
  },
} as const satisfies Record<string, Record<string, number>>

/** Messages: field name to its number and type. */
export const MESSAGES = {
  ModelConfig: {
    name: { id: 1, type: 'string' },
    platform: { id: 2, type: 'string' },
    backend: { id: 17, type: 'string' },
    runtime: { id: 25, type: 'string' },
    version_policy: { id: 3, type: 'ModelVersionPolicy' },
    max_batch_size: { id: 4, type: 'int32' },
    input: { id: 5, type: 'ModelInput', rule: 'repeated' },
    output: { id: 6, type: 'ModelOutput', rule: 'repeated' },
    batch_input: { id: 20, type: 'BatchInput', rule: 'repeated' },
    batch_output: { id: 21, type: 'BatchOutput', rule: 'repeated' },
    optimization: { id: 12, type: 'ModelOptimizationPolicy' },
    dynamic_batching: { id: 11, type: 'ModelDynamicBatching' },
    sequence_batching: { id: 13, type: 'ModelSequenceBatching' },
    ensemble_scheduling: { id: 15, type: 'ModelEnsembling' },
    instance_group: { id: 7, type: 'ModelInstanceGroup', rule: 'repeated' },
    default_model_filename: { id: 8, type: 'string' },
    cc_model_filenames: { id: 9, keyType: 'string', type: 'string' },
    metric_tags: { id: 10, keyType: 'string', type: 'string' },
    parameters: { id: 14, keyType: 'string', type: 'ModelParameter' },
    model_warmup: { id: 16, type: 'ModelWarmup', rule: 'repeated' },
    model_operations: { id: 18, type: 'ModelOperations' },
    model_transaction_policy: { id: 19, type: 'ModelTransactionPolicy' },
    model_repository_agents: { id: 23, type: 'ModelRepositoryAgents' },
    response_cache: { id: 24, type: 'ModelResponseCache' },
    model_metrics: { id: 26, type: 'ModelMetrics' },
  },

  ModelInput: {
    name: { id: 1, type: 'string' },
    data_type: { id: 2, type: 'DataType' },
    format: { id: 3, type: 'InputFormat' },
    dims: { id: 4, type: 'int64', rule: 'repeated' },
    reshape: { id: 5, type: 'ModelTensorReshape' },
    is_shape_tensor: { id: 6, type: 'bool' },
    allow_ragged_batch: { id: 7, type: 'bool' },
    optional: { id: 8, type: 'bool' },
    is_non_linear_format_io: { id: 9, type: 'bool' },
  },
  ModelOutput: {
    name: { id: 1, type: 'string' },
    data_type: { id: 2, type: 'DataType' },
    dims: { id: 3, type: 'int64', rule: 'repeated' },
    reshape: { id: 5, type: 'ModelTensorReshape' },
    label_filename: { id: 4, type: 'string' },
    is_shape_tensor: { id: 6, type: 'bool' },
    is_non_linear_format_io: { id: 7, type: 'bool' },
  },
  ModelTensorReshape: { shape: { id: 1, type: 'int64', rule: 'repeated' } },
  BatchInput: {
    kind: { id: 1, type: 'BatchInputKind' },
    target_name: { id: 2, type: 'string', rule: 'repeated' },
    data_type: { id: 3, type: 'DataType' },
    source_input: { id: 4, type: 'string', rule: 'repeated' },
  },
  BatchOutput: {
    target_name: { id: 1, type: 'string', rule: 'repeated' },
    kind: { id: 2, type: 'BatchOutputKind' },
    source_input: { id: 3, type: 'string', rule: 'repeated' },
  },

  ModelVersionPolicy: {
    latest: { id: 1, type: 'ModelVersionPolicyLatest' },
    all: { id: 2, type: 'ModelVersionPolicyAll' },
    specific: { id: 3, type: 'ModelVersionPolicySpecific' },
  },
  ModelVersionPolicyLatest: { num_versions: { id: 1, type: 'uint32' } },
  ModelVersionPolicyAll: {},
  ModelVersionPolicySpecific: { versions: { id: 1, type: 'int64', rule: 'repeated' } },

  ModelDynamicBatching: {
    preferred_batch_size: { id: 1, type: 'int32', rule: 'repeated' },
    max_queue_delay_microseconds: { id: 2, type: 'uint64' },
    preserve_ordering: { id: 3, type: 'bool' },
    priority_levels: { id: 4, type: 'uint64' },
    default_priority_level: { id: 5, type: 'uint64' },
    default_queue_policy: { id: 6, type: 'ModelQueuePolicy' },
    priority_queue_policy: { id: 7, keyType: 'uint64', type: 'ModelQueuePolicy' },
  },
  ModelQueuePolicy: {
    timeout_action: { id: 1, type: 'TimeoutAction' },
    default_timeout_microseconds: { id: 2, type: 'uint64' },
    allow_timeout_override: { id: 3, type: 'bool' },
    max_queue_size: { id: 4, type: 'uint32' },
  },

  ModelInstanceGroup: {
    name: { id: 1, type: 'string' },
    kind: { id: 4, type: 'InstanceGroupKind' },
    count: { id: 2, type: 'int32' },
    rate_limiter: { id: 6, type: 'ModelRateLimiter' },
    gpus: { id: 3, type: 'int32', rule: 'repeated' },
    secondary_devices: { id: 8, type: 'SecondaryDevice', rule: 'repeated' },
    profile: { id: 5, type: 'string', rule: 'repeated' },
    passive: { id: 7, type: 'bool' },
    host_policy: { id: 9, type: 'string' },
  },
  SecondaryDevice: { kind: { id: 1, type: 'SecondaryDeviceKind' }, device_id: { id: 2, type: 'int64' } },
  ModelRateLimiter: {
    resources: { id: 1, type: 'RateLimiterResource', rule: 'repeated' },
    priority: { id: 2, type: 'uint32' },
  },
  RateLimiterResource: {
    name: { id: 1, type: 'string' },
    global: { id: 2, type: 'bool' },
    count: { id: 3, type: 'uint32' },
  },

  ModelParameter: { string_value: { id: 1, type: 'string' } },
  ModelWarmup: {
    name: { id: 1, type: 'string' },
    batch_size: { id: 2, type: 'uint32' },
    inputs: { id: 3, keyType: 'string', type: 'WarmupInput' },
    count: { id: 4, type: 'uint32' },
  },
  WarmupInput: {
    data_type: { id: 1, type: 'DataType' },
    dims: { id: 2, type: 'int64', rule: 'repeated' },
    zero_data: { id: 3, type: 'bool' },
    random_data: { id: 4, type: 'bool' },
    input_data_file: { id: 5, type: 'string' },
  },
  ModelTransactionPolicy: { decoupled: { id: 1, type: 'bool' } },
  ModelOperations: { op_library_filename: { id: 1, type: 'string', rule: 'repeated' } },
  ModelResponseCache: { enable: { id: 1, type: 'bool' } },
  ModelRepositoryAgents: { agents: { id: 1, type: 'RepositoryAgent', rule: 'repeated' } },
  RepositoryAgent: {
    name: { id: 1, type: 'string' },
    parameters: { id: 2, keyType: 'string', type: 'string' },
  },
  ModelMetrics: { metric_control: { id: 1, type: 'MetricControl', rule: 'repeated' } },
  MetricControl: {
    metric_identifier: { id: 1, type: 'MetricIdentifier' },
    histogram_options: { id: 2, type: 'HistogramOptions' },
  },
  MetricIdentifier: { family: { id: 1, type: 'string' } },
  HistogramOptions: { buckets: { id: 1, type: 'double', rule: 'repeated' } },

  ModelOptimizationPolicy: {
    graph: { id: 1, type: 'OptimizationGraph' },
    priority: { id: 2, type: 'ModelPriority' },
    cuda: { id: 3, type: 'OptimizationCuda' },
    execution_accelerators: { id: 4, type: 'ExecutionAccelerators' },
    input_pinned_memory: { id: 5, type: 'PinnedMemoryBuffer' },
    output_pinned_memory: { id: 6, type: 'PinnedMemoryBuffer' },
    gather_kernel_buffer_threshold: { id: 7, type: 'uint32' },
    eager_batching: { id: 8, type: 'bool' },
  },
  OptimizationGraph: { level: { id: 1, type: 'int32' } },
  OptimizationCuda: {
    graphs: { id: 1, type: 'bool' },
    busy_wait_events: { id: 2, type: 'bool' },
    graph_spec: { id: 3, type: 'CudaGraphSpec', rule: 'repeated' },
    output_copy_stream: { id: 4, type: 'bool' },
  },
  CudaGraphSpec: {
    batch_size: { id: 1, type: 'int32' },
    input: { id: 2, keyType: 'string', type: 'CudaGraphShape' },
    graph_lower_bound: { id: 3, type: 'CudaGraphLowerBound' },
  },
  CudaGraphShape: { dim: { id: 1, type: 'int64', rule: 'repeated' } },
  CudaGraphLowerBound: {
    batch_size: { id: 1, type: 'int32' },
    input: { id: 2, keyType: 'string', type: 'CudaGraphShape' },
  },
  ExecutionAccelerators: {
    gpu_execution_accelerator: { id: 1, type: 'ExecutionAccelerator', rule: 'repeated' },
    cpu_execution_accelerator: { id: 2, type: 'ExecutionAccelerator', rule: 'repeated' },
  },
  ExecutionAccelerator: {
    name: { id: 1, type: 'string' },
    parameters: { id: 2, keyType: 'string', type: 'string' },
  },
  PinnedMemoryBuffer: { enable: { id: 1, type: 'bool' } },

  ModelSequenceBatching: {
    direct: { id: 3, type: 'SequenceStrategyDirect' },
    oldest: { id: 4, type: 'SequenceStrategyOldest' },
    max_sequence_idle_microseconds: { id: 1, type: 'uint64' },
    control_input: { id: 2, type: 'SequenceControlInput', rule: 'repeated' },
    state: { id: 5, type: 'SequenceState', rule: 'repeated' },
    iterative_sequence: { id: 6, type: 'bool' },
  },
  SequenceStrategyDirect: {
    max_queue_delay_microseconds: { id: 1, type: 'uint64' },
    minimum_slot_utilization: { id: 2, type: 'float' },
  },
  SequenceStrategyOldest: {
    max_candidate_sequences: { id: 1, type: 'int32' },
    preferred_batch_size: { id: 2, type: 'int32', rule: 'repeated' },
    max_queue_delay_microseconds: { id: 3, type: 'uint64' },
    preserve_ordering: { id: 4, type: 'bool' },
  },
  SequenceControlInput: {
    name: { id: 1, type: 'string' },
    control: { id: 2, type: 'SequenceControl', rule: 'repeated' },
  },
  SequenceControl: {
    kind: { id: 1, type: 'SequenceControlKind' },
    int32_false_true: { id: 2, type: 'int32', rule: 'repeated' },
    fp32_false_true: { id: 3, type: 'float', rule: 'repeated' },
    bool_false_true: { id: 5, type: 'bool', rule: 'repeated' },
    data_type: { id: 4, type: 'DataType' },
  },
  SequenceState: {
    input_name: { id: 1, type: 'string' },
    output_name: { id: 2, type: 'string' },
    data_type: { id: 3, type: 'DataType' },
    dims: { id: 4, type: 'int64', rule: 'repeated' },
    initial_state: { id: 5, type: 'SequenceInitialState', rule: 'repeated' },
    use_same_buffer_for_input_output: { id: 6, type: 'bool' },
    use_growable_memory: { id: 7, type: 'bool' },
  },
  SequenceInitialState: {
    data_type: { id: 1, type: 'DataType' },
    dims: { id: 2, type: 'int64', rule: 'repeated' },
    zero_data: { id: 3, type: 'bool' },
    data_file: { id: 4, type: 'string' },
    name: { id: 5, type: 'string' },
  },

  ModelEnsembling: {
    step: { id: 1, type: 'EnsembleStep', rule: 'repeated' },
    max_inflight_requests: { id: 2, type: 'uint32' },
  },
  EnsembleStep: {
    model_name: { id: 1, type: 'string' },
    model_version: { id: 2, type: 'int64' },
    input_map: { id: 3, keyType: 'string', type: 'string' },
    output_map: { id: 4, keyType: 'string', type: 'string' },
    model_namespace: { id: 5, type: 'string' },
  },
} as const satisfies Record<string, Record<string, FieldSpec>>

/** Fields of which at most one may be set, by message and by the name of the choice. */
export const ONEOFS = {
  ModelConfig: { scheduling_choice: ['dynamic_batching', 'sequence_batching', 'ensemble_scheduling'] },
  ModelVersionPolicy: { policy_choice: ['latest', 'all', 'specific'] },
  ModelSequenceBatching: { strategy_choice: ['direct', 'oldest'] },
  SequenceInitialState: { state_data: ['zero_data', 'data_file'] },
  WarmupInput: { input_data_type: ['zero_data', 'random_data', 'input_data_file'] },
  MetricControl: { metric_options: ['histogram_options'] },
} as const satisfies Record<string, Record<string, readonly string[]>>
