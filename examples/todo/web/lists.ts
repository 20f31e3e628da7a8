/** What the page asks the server to do, and what a thing to do looks like. */

export interface Todo {
  id: string
  text: string
  done: boolean
}

export const add = (list: string, id: string, text: string) => ask('POST', [list], { id, text })
export const tick = (list: string, id: string, done: boolean) => ask('PUT', [list, id], { done })
export const remove = (list: string, id: string) => ask('DELETE', [list, id])

async function ask(method: string, path: string[], body?: object): Promise<void> {
  const response = await fetch(['/lists', ...path.map(encodeURIComponent)].join('/'), {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  }).catch(() => {
    throw new Error('The server cannot be reached.')
  })
  if (response.ok) return
  const problem = await response.json().catch(() => ({}))
  throw new Error(problem.detail ?? `The server answered ${response.status}.`)
}
