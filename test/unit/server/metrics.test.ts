import { expect, it } from 'vitest'
import { echoModel, post, serving, vector } from './running-server.js'

it('GET /metrics tells how requests ended, in our names and in Triton’s', async () => {
  const { url } = await serving([echoModel(vector, { failEvery: 3 })])
  const body = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }] }
  for (let i = 0; i < 3; i++) await post(`${url}/v2/models/echo/infer`, body)
  const response = await fetch(`${url}/metrics`)
  const text = await response.text()
  expect(response.headers.get('content-type')).toContain('text/plain')
  for (const line of [
    'subten_model_ready{model="echo",version="1"} 1',
    'subten_requests_total{model="echo",version="1",outcome="succeeded"} 2',
    'subten_requests_total{model="echo",version="1",outcome="failed"} 1',
    'subten_batches_total{model="echo",version="1",reason="idle"} 3',
    'nv_inference_request_success{model="echo",version="1"} 2',
    'nv_inference_request_failure{model="echo",version="1",reason="BACKEND"} 1',
    'nv_inference_exec_count{model="echo",version="1"} 3',
  ]) {
    expect(text).toContain(line)
  }
  expect(text).toMatch(/subten_stage_seconds\{model="echo",version="1",stage="compute",quantile="0.99"\} [\d.e-]+/)
  expect(text).toMatch(/nv_inference_compute_infer_duration_us\{model="echo",version="1"\} \d/)
  expect(text).toMatch(/subten_event_loop_lateness_seconds\{quantile="0.99"\} [\d.e-]+/)
  expect(text).toContain('process_resident_memory_bytes')
})
