import { closeSync, openSync } from 'node:fs'
import { type FileHandle, open, rename } from 'node:fs/promises'
import { addon } from '../runtime/binding.js'

/** A file as the state file uses it. */
export interface DiskFile {
  write(data: Buffer, position: number): Promise<void>
  /** Resolves when what was written would survive a loss of power. */
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  read(): Promise<Buffer>
  close(): Promise<void>
}

/** The operations by which the state file changes the disk; a test puts its own in between. */
export interface Disk {
  /** `fresh`: an empty one, whatever was there; otherwise it is made where it is not there. */
  open(path: string, fresh: boolean): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /** Undefined when another open file has the lock; the kernel takes it back when the process ends, however it ends. */
  lock(path: string): (() => void) | undefined
}

const MODE = 0o600

export const DISK: Disk = {
  async open(path, fresh) {
    if (fresh) return new HandleFile(await open(path, 'w+', MODE))
    const create = (error: NodeJS.ErrnoException): Promise<FileHandle> => {
      if (error.code !== 'ENOENT') throw error
      return open(path, 'wx+', MODE)
    }
    return new HandleFile(await open(path, 'r+').catch(create))
  },
  rename,
  async syncDirectory(path) {
    const directory = await open(path, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  },
  lock(path) {
    const descriptor = openSync(path, 'a', MODE)
    if (addon().lockFile?.(descriptor) === 0) return () => closeSync(descriptor)
    closeSync(descriptor)
    return undefined
  },
}

class HandleFile implements DiskFile {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(data: Buffer, position: number): Promise<void> {
    for (let done = 0; done < data.length; ) {
      const { bytesWritten } = await this.#handle.write(data, done, data.length - done, position + done)
      done += bytesWritten
    }
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  truncate(bytes: number): Promise<void> {
    return this.#handle.truncate(bytes)
  }

  async read(): Promise<Buffer> {
    const { size } = await this.#handle.stat()
    const data = Buffer.alloc(size)
    let done = 0
    while (done < size) {
      const { bytesRead } = await this.#handle.read(data, done, size - done, done)
      if (bytesRead === 0) break
      done += bytesRead
    }
    return data.subarray(0, done)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}
