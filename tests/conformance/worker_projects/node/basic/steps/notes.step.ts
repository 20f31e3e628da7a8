export const config = { type: 'noop', name: 'Notes', virtualEmits: [], virtualSubscribes: ['x'] }
