// Run by the test of the state file in a process of its own: appends records, says so when each was acknowledged, and
// kills itself at the operation on the disk that it was told.
import { writeSync } from 'node:fs'
import { DISK, type Disk, type DiskFile } from '../../../src/sla/state-disk.js'
import { StateFile } from '../../../src/sla/state-file.js'

const [path = '', killAt = '0', when = 'before'] = process.argv.slice(2)
const die = (): boolean => process.kill(process.pid, 'SIGKILL')
let operation = 0

/** Runs the operation, and dies before it, in the middle of a write, or after it, when it is its turn. */
async function at<T>(run: () => Promise<T>, half: () => Promise<unknown> = async () => {}): Promise<T> {
  const mine = ++operation === Number(killAt)
  if (mine && when === 'before') die()
  if (mine && when === 'half') {
    await half()
    die()
  }
  const result = await run()
  if (mine && when === 'after') die()
  return result
}

function deadly(file: DiskFile): DiskFile {
  return {
    write: (data, position) =>
      at(
        () => file.write(data, position),
        () => file.write(data.subarray(0, data.length >> 1), position),
      ),
    sync: () => at(() => file.sync()),
    truncate: (bytes) => at(() => file.truncate(bytes)),
    read: () => file.read(),
    close: () => file.close(),
  }
}

const disk: Disk = {
  open: (name, fresh) => at(async () => deadly(await DISK.open(name, fresh))),
  rename: (from, to) => at(() => DISK.rename(from, to)),
  syncDirectory: (name) => at(() => DISK.syncDirectory(name)),
  lock: (name) => DISK.lock(name),
}

const opened = await StateFile.open<number[], number>(path, { disk, warn: () => {} })
const all = [...(opened.snapshot ?? []), ...opened.deltas]
writeSync(1, `had ${all.join(' ')}\n`)
for (let i = 1; i <= 4; i++) {
  const event = all.length + 1
  writeSync(1, `writing ${event}\n`)
  await opened.file.append(event)
  all.push(event)
  writeSync(1, `acknowledged ${event}\n`)
  if (i % 2 === 0) await opened.file.compact(all)
}
writeSync(1, `operations ${operation}\n`)
