// A dialog with a picture as large as the window.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  name: string;
  close: () => void;
  /** The picture. */
  children: ComponentChildren;
  /** Buttons next to the close button. */
  actions?: ComponentChildren;
}

export function Enlarged({ name, close, children, actions }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a dialog by itself
    <dialog
      ref={dialog}
      class="enlarged"
      aria-label={name}
      onClose={close}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      {children}
      <div class="row between">
        <span class="muted">{name}</span>
        <div class="row">
          {actions}
          <button type="button" onClick={() => dialog.current?.close()}>
            Close
          </button>
        </div>
      </div>
    </dialog>
  );
}
