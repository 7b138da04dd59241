// A button that asks for confirmation before it acts.

import { useRef } from "preact/hooks";
import { useAction } from "../lib/hooks";
import { ErrorNote } from "./status";

interface Props {
  label: string;
  question: string;
  detail: string;
  /** The label of the confirming button. */
  verb: string;
  class?: string;
  act: () => Promise<void>;
}

export function ConfirmButton({ label, question, detail, verb, act, ...props }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { start, busy, error, clear } = useAction(async () => {
    await act();
    dialog.current?.close();
  });
  const open = () => {
    clear();
    dialog.current?.showModal();
  };
  return (
    <>
      <button type="button" class={props.class ?? ""} onClick={open}>
        {label}
      </button>
      <dialog ref={dialog} class="ask" aria-label={question}>
        <h2>{question}</h2>
        <p>{detail}</p>
        {error && <ErrorNote error={error} />}
        <div class="row end">
          <button type="button" onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <button type="button" class="danger" disabled={busy} onClick={() => start()}>
            {verb}
          </button>
        </div>
      </dialog>
    </>
  );
}
