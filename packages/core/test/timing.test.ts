import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { DeadlineError, deadline, sleep } from '../src/index.ts'
import { FakeClock } from './fake-clock.ts'

const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

describe('sleep', () => {
  it('ends when the time is over, and leaves nothing on the signal', async () => {
    const clock = new FakeClock()
    const { signal } = new AbortController()
    const slept = sleep(clock, 100, signal)
    clock.advance(99)
    expect(clock.pending).toBe(1)
    clock.advance(1)
    await slept
    expect([clock.pending, listeners(signal)]).toEqual([0, 0])
  })

  it('rejects with the reason when the signal aborts, timer gone', async () => {
    const clock = new FakeClock()
    const controller = new AbortController()
    const slept = sleep(clock, 100, controller.signal)
    controller.abort(new Error('enough'))
    await expect(slept).rejects.toThrow('enough')
    expect([clock.pending, listeners(controller.signal)]).toEqual([0, 0])
  })

  it('does not start when the signal is aborted already', async () => {
    const clock = new FakeClock()
    await expect(sleep(clock, 100, AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
    expect(clock.pending).toBe(0)
  })
})

describe('deadline', () => {
  it('aborts when the time is over, with a reason of its own', () => {
    const clock = new FakeClock()
    using limit = deadline(clock, 100)
    clock.advance(99)
    expect(limit.signal.aborted).toBe(false)
    clock.advance(1)
    expect(limit.signal.reason).toBeInstanceOf(DeadlineError)
  })

  it('follows its parent, also one that was aborted before', () => {
    const clock = new FakeClock()
    const parent = new AbortController()
    using limit = deadline(clock, 100, parent.signal)
    parent.abort('stop')
    expect(limit.signal.reason).toBe('stop')
    using late = deadline(clock, undefined, parent.signal)
    expect(late.signal.reason).toBe('stop')
  })

  it('does not abort its parent', () => {
    const parent = new AbortController()
    using limit = deadline(new FakeClock(), undefined, parent.signal)
    limit.abort('mine')
    expect([limit.signal.reason, parent.signal.aborted]).toEqual(['mine', false])
  })

  it('leaves no timer and no listener behind, however it ended', () => {
    const clock = new FakeClock()
    const parent = new AbortController()
    for (let i = 0; i < 100; i++) {
      using limit = deadline(clock, 100, parent.signal)
      if (i % 3 === 0) limit.abort()
      if (i % 3 === 1) clock.advance(100)
    }
    expect([clock.pending, listeners(parent.signal)]).toEqual([0, 0])
  })
})
