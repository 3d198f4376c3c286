// Search in a page that was opened as a file: browsers start no worker there, so its script runs in a hidden frame.
// The name lets the theme's plugin `offline` know that it need not fetch a script for this from elsewhere.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.worker = this;
      this.loaded = new Promise((resolve) => this.frame.addEventListener("load", resolve));
      const answer = 'frameElement.worker.dispatchEvent(new parent.MessageEvent("message", { data }))';
      const script = `<script>postMessage = (data) => ${answer};</script><script src="${url}"></script>`;
      this.frame.srcdoc = script;
      document.documentElement.append(this.frame);
    }

    async postMessage(data) {
      await this.loaded;
      const { MessageEvent } = this.frame.contentWindow;
      this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
