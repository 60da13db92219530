import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { engineCall } from '../runtime/engine-call.js'
import type { StageSummary } from '../runtime/stats.js'
import { mergeMetrics } from './merge-metrics.js'
import type { ModelHost } from './model-host.js'
import type { ProtocolOptions } from './protocol-options.js'
import { slaMetrics } from './sla-metrics.js'
import { sloMetrics } from './slo-metrics.js'

const QUANTILES = [
  ['0.5', 'p50'],
  ['0.95', 'p95'],
  ['0.99', 'p99'],
  ['0.999', 'p999'],
] as const satisfies readonly (readonly [string, keyof StageSummary])[]

/** `GET /metrics`: subten_* in seconds, Triton's names beside them, and those of the process. */
export async function metrics(app: FastifyInstance, { models, sla }: ProtocolOptions): Promise<void> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const publish = modelMetrics(registry, models)
  const publishSla = sla && slaMetrics(registry, sla)
  const publishSlo = sloMetrics(registry)
  const lateness = monitorEventLoopDelay({ resolution: 10 })
  lateness.enable()
  app.addHook('onClose', async () => {
    lateness.disable()
    registry.clear()
  })
  const late = new Gauge({
    name: 'subten_event_loop_lateness_seconds',
    help: 'How late timers of the event loop fire, since the last scrape.',
    labelNames: ['quantile'],
    registers: [registry],
  })
  app.get('/metrics', async (_request, reply) => {
    for (const [quantile] of QUANTILES) {
      // monitorEventLoopDelay counts its own interval of 10 ms in.
      const ns = lateness.count === 0 ? 0 : lateness.percentile(Number(quantile) * 100)
      late.set({ quantile }, Math.max(0, ns / 1e9 - 0.01))
    }
    lateness.reset()
    publish()
    publishSla?.()
    publishSlo(models.models())
    const own = await registry.metrics()
    return reply.type(registry.contentType).send(mergeMetrics(own, await tritonMetrics(models)))
  })
}

/** What Triton's core measures; '' where no model of it is loaded. A scrape never fails for it. */
async function tritonMetrics(models: ModelHost): Promise<string> {
  if (!models.models().some((model) => model.engine === 'triton')) return ''
  return engineCall('triton', 'metrics').catch(() => '')
}

/** Metrics whose values are read from `model.stats()` at each scrape; returns the function that reads them. */
function modelMetrics(registry: Registry, models: ModelHost): () => void {
  const gauge = <L extends string>(name: string, help: string, ...labelNames: L[]): Gauge<'model' | 'version' | L> =>
    new Gauge({ name, help, labelNames: ['model', 'version', ...labelNames], registers: [registry] })

  const up = gauge('subten_model_ready', '1 when the model can be asked, 0 when it is loading or unavailable.')
  const requests = gauge('subten_requests_total', 'Requests by how they ended.', 'outcome')
  const inFlight = gauge('subten_requests_in_flight', 'Requests that were taken and have not ended.')
  const batches = gauge('subten_batches_total', 'Batches by why they were dispatched.', 'reason')
  const batchSize = gauge('subten_batch_size_mean', 'Mean rows of a batch.')
  const running = gauge('subten_running_batches', 'Batches that are in the engine now.')
  const oldest = gauge(
    'subten_running_batch_age_seconds',
    'How long the oldest running batch has been in the engine; one that only grows has hung.',
  )
  const inPlace = gauge('subten_batches_in_place_total', 'Batches whose inputs were read without a copy.')
  const stage = gauge('subten_stage_seconds', 'Latency of each stage of a request.', 'stage', 'quantile')
  const stageSum = gauge('subten_stage_seconds_sum', 'Time spent in each stage.', 'stage')
  const stageCount = gauge('subten_stage_seconds_count', 'Requests that passed each stage.', 'stage')
  const stageMax = gauge('subten_stage_seconds_max', 'Longest time of each stage.', 'stage')
  const memory = gauge('subten_memory_bytes', 'Memory of the model for tensors.')
  const memoryUsed = gauge('subten_memory_used_bytes', 'Memory of the model for tensors that is in use.')
  const triton = {
    success: gauge('nv_inference_request_success', "Triton's name: requests that succeeded."),
    failure: gauge('nv_inference_request_failure', "Triton's name: requests that failed, by reason.", 'reason'),
    pending: gauge('nv_inference_pending_request_count', "Triton's name: requests awaiting their end."),
    count: gauge('nv_inference_count', "Triton's name: rows inferred."),
    executions: gauge('nv_inference_exec_count', "Triton's name: batches executed."),
    request: gauge('nv_inference_request_duration_us', "Triton's name: time of requests, end to end."),
    queue: gauge('nv_inference_queue_duration_us', "Triton's name: time of requests in the queue."),
    input: gauge('nv_inference_compute_input_duration_us', "Triton's name: time to gather inputs."),
    infer: gauge('nv_inference_compute_infer_duration_us', "Triton's name: time of requests in the engine."),
    output: gauge('nv_inference_compute_output_duration_us', "Triton's name: time to publish outputs."),
  }

  return () => {
    for (const entry of models.index()) {
      up.set({ model: entry.name, version: entry.version }, entry.state === 'READY' ? 1 : 0)
    }
    for (const model of models.models()) {
      const of = { model: model.name, version: model.version }
      const s = model.stats()
      const { succeeded, failed, cancelled, expired, refused } = s.requests
      for (const [outcome, n] of Object.entries({ succeeded, failed, cancelled, expired, refused })) {
        requests.set({ ...of, outcome }, n)
      }
      inFlight.set(of, s.requests.inFlight)
      for (const [reason, n] of Object.entries(s.batches.byReason)) batches.set({ ...of, reason }, n)
      batchSize.set(of, s.batches.meanSize)
      inPlace.set(of, s.batches.inPlace)
      running.set(of, s.running.batches)
      oldest.set(of, s.running.oldestMs / 1000)
      for (const [name, summary] of Object.entries(s.stages)) {
        for (const [quantile, key] of QUANTILES) stage.set({ ...of, stage: name, quantile }, summary[key] / 1e6)
        stageSum.set({ ...of, stage: name }, sum(summary) / 1e6)
        stageCount.set({ ...of, stage: name }, summary.count)
        stageMax.set({ ...of, stage: name }, summary.max / 1e6)
      }
      memory.set(of, s.memory.bytes)
      memoryUsed.set(of, s.memory.used)
      triton.success.set(of, succeeded)
      for (const [reason, n] of [
        ['REJECTED', refused + expired],
        ['CANCELED', cancelled],
        ['BACKEND', failed],
        ['OTHER', 0],
      ] as const) {
        triton.failure.set({ ...of, reason }, n)
      }
      triton.pending.set(of, s.requests.inFlight)
      triton.count.set(of, Math.round(s.batches.count * s.batches.meanSize))
      triton.executions.set(of, s.batches.count)
      triton.request.set(of, sum(s.stages.total))
      triton.queue.set(of, sum(s.stages.inbox) + sum(s.stages.queue))
      triton.input.set(of, sum(s.stages.prepare))
      triton.infer.set(of, sum(s.stages.compute))
      triton.output.set(of, sum(s.stages.publish))
    }
  }
}

function sum({ mean, count }: StageSummary): number {
  return mean * count
}
