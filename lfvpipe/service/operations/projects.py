"""CreateProject, DescribeProject, ListProjects, DeleteProject."""

from dataclasses import dataclass
from functools import partial

from lfvpipe.service.faults import conflict, over_quota
from lfvpipe.service.operations.base import PAGE, OperationContext, Result, read_token, write_token
from lfvpipe.service.operations.datasets import metadata as dataset_metadata
from lfvpipe.service.state import find, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import Model, Project, read


@dataclass(frozen=True)
class Projects:
    """The operations on projects."""

    context: OperationContext

    def create_project(self, tx: Transaction, *, project_name: str) -> Result:
        """Create a project; an existing name is a conflict."""
        if tx.one("SELECT 1 FROM projects WHERE name = ?", project_name) is not None:
            raise conflict("PROJECT", project_name, f"project {project_name} exists already")
        self._require_room(tx, project_name)
        arn = self.context.arn(f"project/{project_name}")
        now = self.context.runtime.clock()
        tx.run("INSERT INTO projects (name, arn, created) VALUES (?, ?, ?)", project_name, arn, now)
        tokens.renew(tx, arn)
        return {"ProjectMetadata": _metadata(find.project(tx, project_name))}

    def describe_project(self, tx: Transaction, *, project_name: str) -> Result:
        """Describe a project and its datasets."""
        project = find.project(tx, project_name)
        datasets = find.datasets(tx, project_name)
        for dataset in datasets:
            tx.after(partial(self.context.scheduler.reconcile_dataset, dataset))
        listed = [dataset_metadata(dataset) for dataset in datasets]
        return {"ProjectDescription": {**_metadata(project), "Datasets": listed}}

    def list_projects(
        self, tx: Transaction, *, next_token: str | None = None, max_results: int = PAGE
    ) -> Result:
        """List the projects by name."""
        after = read_token(next_token, "projects", "")
        query = "SELECT * FROM projects WHERE name > ? ORDER BY name LIMIT ?"
        rows = [read(Project, row) for row in tx.all(query, after, max_results + 1)]
        page = rows[:max_results]
        last = page[-1].name if page else ""
        token = write_token(rows, max_results, last, "projects")
        return {"Projects": [_metadata(project) for project in page], "NextToken": token}

    def delete_project(self, tx: Transaction, *, project_name: str) -> Result:
        """Delete a project that has neither models nor datasets; the images stay."""
        project = find.project(tx, project_name)
        self._require_empty(tx, project_name)
        tokens.renew(tx, project.arn)
        tx.run("DELETE FROM packaging_jobs WHERE project = ?", project_name)
        tx.run("DELETE FROM projects WHERE name = ?", project_name)
        return {"ProjectArn": project.arn}

    def _require_empty(self, tx: Transaction, name: str) -> None:
        rows = tx.all("SELECT * FROM models WHERE project = ?", name)
        for model in (read(Model, row) for row in rows):
            tx.after(partial(self.context.scheduler.reconcile_model, model))
        if rows or find.datasets(tx, name):
            full = f"project {name} still has models or datasets; delete them first"
            raise conflict("PROJECT", name, full)

    def _require_room(self, tx: Transaction, name: str) -> None:
        most = self.context.runtime.quotas.projects
        row = tx.one("SELECT COUNT(*) FROM projects")
        if row is not None and row[0] >= most:
            full = f"there are {most} projects already, as many as are allowed; delete one"
            raise over_quota("PROJECT", name, full, quota="projects")


def _metadata(project: Project) -> Result:
    return {
        "ProjectArn": project.arn,
        "ProjectName": project.name,
        "CreationTimestamp": project.created,
    }
