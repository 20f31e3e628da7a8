/**
 * Work that waits in one case and must not in another: `import` may, `require` may not. It is written once, as a
 * generator of the promises that it needs; owns the two ways to drive it.
 */

export type Work<Result = void> = Generator<Promise<unknown>, Result, unknown>

/** Drive work that may wait. */
export async function finish(work: Work): Promise<void> {
  let step = work.next()
  while (step.done !== true) {
    try {
      step = work.next(await step.value)
    } catch (error) {
      step = work.throw(error)
    }
  }
}

/** Drive work that must not wait. */
export function finishNow(work: Work, file: string): void {
  const step = work.next()
  if (step.done === true) return
  step.value.catch(() => undefined)
  work.return()
  throw new Error(`${file} cannot be required: it waits at its top level. Import it instead.`)
}

export function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => undefined
  const promise = new Promise<void>((settle) => (resolve = settle))
  return { promise, resolve }
}
