// An area for dropping or choosing a file.

import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

interface Props {
  label: string;
  accept: string;
  disabled?: boolean;
  compact?: boolean;
  take: (file: File) => void;
  children?: ComponentChildren;
}

export function DropZone({ label, accept, disabled, compact, take, children }: Props) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const first = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file && !disabled) take(file);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is optional; the input works for everyone
    <div
      class={`drop ${over ? "over" : ""} ${compact ? "compact" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        first(event.dataTransfer?.files);
      }}
    >
      <svg viewBox="0 0 24 24" class="icon" aria-hidden="true">
        <path d="M12 15V4m0 0 4 4m-4-4L8 8M4 15v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3" />
      </svg>
      <div>
        <label class="pick">
          <input
            ref={input}
            type="file"
            accept={accept}
            disabled={disabled}
            onChange={() => {
              first(input.current?.files);
              if (input.current) input.current.value = "";
            }}
          />
          <span>{label}</span>
        </label>
        {children}
      </div>
    </div>
  );
}
