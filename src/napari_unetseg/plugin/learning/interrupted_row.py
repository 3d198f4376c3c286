"""What was interrupted, and whether to go on with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_unetseg.errors import UnetsegError
from napari_unetseg.language import tr, tr_count
from napari_unetseg.plugin.learning import learning_words as words
from napari_unetseg.plugin.workers.background import Task
from napari_unetseg.training.job_folder import JobFolder, TrainingJob, unfinished_jobs


@dataclass(frozen=True, eq=False)
class UnfinishedJob:
    """A job that can be taken up again; one whose file is damaged can only be deleted."""

    folder: JobFolder
    job: TrainingJob | None
    line: str


def find_unfinished(task: Task[list[UnfinishedJob]]) -> list[UnfinishedJob]:
    """Return what can be taken up again, the latest first; in a worker."""
    found = []
    for folder in unfinished_jobs():
        try:
            job = folder.read_job()
        except UnetsegError:
            found.append(UnfinishedJob(folder, None, tr("{title} · damaged").format(title=folder.path.name)))
            continue
        found.append(UnfinishedJob(folder, job, words.interrupted(folder, job.title)))
    return found


class InterruptedRow(QWidget):
    """Offers interrupted jobs; there is nothing to see while there are none."""

    go_on_requested = Signal(object)
    delete_requested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QLabel()
        self.jobs = QComboBox()
        self.go_on, self.delete = QPushButton(tr(words.GO_ON)), QPushButton(tr(words.DELETE))
        self._found: Sequence[UnfinishedJob] = ()
        self._locked = False
        self.jobs.setToolTip(tr(words.INTERRUPTED_TIP))
        self.jobs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.go_on.setToolTip(tr(words.GO_ON_TIP))
        self.delete.setToolTip(tr(words.DELETE_TIP))
        line = QHBoxLayout()
        line.addWidget(self.jobs, 1)
        line.addWidget(self.go_on)
        line.addWidget(self.delete)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(2)
        column.addWidget(self.text)
        column.addLayout(line)
        self.jobs.currentIndexChanged.connect(self._allow)
        self.go_on.clicked.connect(lambda: self.go_on_requested.emit(self.chosen()))
        self.delete.clicked.connect(lambda: self.delete_requested.emit(self.chosen()))
        self.show_jobs(())

    def show_jobs(self, jobs: Sequence[UnfinishedJob]) -> None:
        """Offer other jobs."""
        self._found = jobs
        self.jobs.clear()
        self.jobs.addItems([job.line for job in jobs])
        interrupted = tr_count("{n} training run was interrupted:", "{n} training runs were interrupted:", len(jobs))
        self.text.setText(interrupted.format(n=len(jobs)))
        self.setVisible(bool(jobs))
        self._allow()

    def lock(self, locked: bool) -> None:
        """Grey out everything during a run."""
        self._locked = locked
        self._allow()

    def chosen(self) -> UnfinishedJob | None:
        """Return the job that is shown."""
        at = self.jobs.currentIndex()
        return self._found[at] if 0 <= at < len(self._found) else None

    def _allow(self) -> None:
        chosen = self.chosen()
        self.go_on.setEnabled(not self._locked and chosen is not None and chosen.job is not None)
        self.delete.setEnabled(not self._locked and chosen is not None)
        self.jobs.setEnabled(not self._locked)
