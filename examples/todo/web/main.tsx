/**
 * A shared list of things to do. Everything shown is live; what you do shows at once, before the server has it, and
 * waits for the server where it is away.
 */

import { type FormEvent, memo, StrictMode, useState, useSyncExternalStore } from 'react'
import { createRoot } from 'react-dom/client'

import { HeadwaterProvider, useStreamGroup, useStreamWrites } from '@headwater/react'

interface Todo {
  id: string
  text: string
  done: boolean
}

/** What is done without a connection is written with the next one. */
const later = { offline: true }
const me = { name: `Guest ${Math.floor(1000 + Math.random() * 9000)}` }

function App() {
  const list = useListOfAddress()
  const { data, status, ready, error } = useStreamGroup<Todo>({ streamName: 'todo', groupId: list, state: me })
  const writes = useStreamWrites<Todo>({ streamName: 'todo', groupId: list })
  const problem = writes.error ?? error
  const left = data.filter(({ done }) => !done).length

  const onAdd = (text: string) => void writes.set(crypto.randomUUID(), { text, done: false }, later)
  const onTick = ({ id, done }: Todo) => void writes.update(id, [{ type: 'set', path: 'done', value: !done }], later)
  const onRemove = ({ id }: Todo) => void writes.delete(id, later)

  return (
    <main>
      <header>
        <h1>{list}</h1>
        <p className="facts">
          <span id="status" role="status" data-state={status}>
            {status}
          </span>
          {writes.pending ? <span>{writes.pending} to be written</span> : <Others list={list} />}
        </p>
      </header>
      <NewTodo onAdd={onAdd} />
      {problem && <p role="alert">{problem.message}</p>}
      <ul id="items" aria-label="Things to do">
        {data.map((todo) => (
          <Row key={todo.id} todo={todo} onTick={onTick} onRemove={onRemove} />
        ))}
      </ul>
      <footer>{ready && (data.length === 0 ? 'Nothing to do. Write the first thing.' : left === 0 ? 'All done.' : `${left} of ${data.length} to do`)}</footer>
    </main>
  )
}

interface RowProps {
  todo: Todo
  onTick: (todo: Todo) => void
  onRemove: (todo: Todo) => void
}

// An item that has not changed is the same object: its row is not rendered again.
const Row = memo(
  ({ todo, onTick, onRemove }: RowProps) => (
    <li className={todo.done ? 'done' : ''}>
      <label>
        <input type="checkbox" checked={todo.done} onChange={() => onTick(todo)} />
        <span>{todo.text}</span>
      </label>
      <button type="button" aria-label={`Remove ${todo.text}`} onClick={() => onRemove(todo)}>
        ×
      </button>
    </li>
  ),
  (before, after) => before.todo === after.todo,
)

function NewTodo({ onAdd }: { onAdd: (text: string) => void }) {
  const [text, setText] = useState('')
  const submit = (submitted: FormEvent) => {
    submitted.preventDefault()
    if (text.trim()) onAdd(text.trim())
    setText('')
  }
  return (
    <form onSubmit={submit}>
      <input aria-label="New thing to do" placeholder="What is to be done?" maxLength={200} value={text} onChange={({ target }) => setText(target.value)} autoFocus />
      <button type="submit" disabled={!text.trim()}>
        Add
      </button>
    </form>
  )
}

/** How many others look at the list now. */
function Others({ list }: { list: string }) {
  const { data } = useStreamGroup({
    streamName: 'todo.presence',
    groupId: list,
    select: (here: readonly { id: string }[]) => here.length - 1,
  })
  return <span>{data > 0 ? `with ${data} other${data > 1 ? 's' : ''}` : 'only you'}</span>
}

const subscribeToAddress = (changed: () => void) => {
  addEventListener('hashchange', changed)
  return () => removeEventListener('hashchange', changed)
}

/** `/#groceries` is the list of that name. */
function useListOfAddress(): string {
  const hash = useSyncExternalStore(subscribeToAddress, () => location.hash)
  try {
    return decodeURIComponent(hash.slice(1)) || 'today'
  } catch {
    return 'today'
  }
}

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <HeadwaterProvider>
      <App />
    </HeadwaterProvider>
  </StrictMode>,
)
