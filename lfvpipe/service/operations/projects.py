"""CreateProject, DescribeProject, ListProjects, DeleteProject."""

from dataclasses import dataclass
from functools import partial

from lfvpipe.service.faults import conflict, over_quota
from lfvpipe.service.jobs import cancelled
from lfvpipe.service.operations.base import PAGE, OperationContext, Result, read_token, write_token
from lfvpipe.service.operations.datasets import metadata as dataset_metadata
from lfvpipe.service.state import datasets, models, packaging_jobs, projects, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.projects import Project


@dataclass(frozen=True)
class Projects:
    """The operations on projects."""

    context: OperationContext

    def create_project(self, tx: Transaction, *, project_name: str) -> Result:
        """Create a project; an existing name is a conflict."""
        if projects.exists(tx, project_name):
            raise conflict("PROJECT", project_name, f"project {project_name} exists already")
        most = self.context.runtime.quotas.projects
        if projects.count(tx) >= most:
            full = f"there are {most} projects already, as many as are allowed; delete one"
            raise over_quota("PROJECT", project_name, full, quota="projects")
        arn = self.context.arn(f"project/{project_name}")
        now = self.context.runtime.clock()
        projects.create(tx, name=project_name, arn=arn, created=now)
        tokens.renew(tx, arn)
        return {"ProjectMetadata": _metadata(projects.get(tx, project_name))}

    def describe_project(self, tx: Transaction, *, project_name: str) -> Result:
        """Describe a project and its datasets."""
        project = projects.get(tx, project_name)
        found = datasets.of_project(tx, project_name)
        for dataset in found:
            tx.after(partial(self.context.scheduler.reconcile_dataset, dataset))
        listed = [dataset_metadata(dataset) for dataset in found]
        return {"ProjectDescription": {**_metadata(project), "Datasets": listed}}

    def list_projects(
        self, tx: Transaction, *, next_token: str | None = None, max_results: int = PAGE
    ) -> Result:
        """List the projects by name."""
        after = read_token(next_token, "projects", "")
        found = projects.page(tx, after=after, limit=max_results + 1)
        page = found[:max_results]
        token = write_token(found, max_results, page[-1].name if page else "", "projects")
        return {"Projects": [_metadata(project) for project in page], "NextToken": token}

    def delete_project(self, tx: Transaction, *, project_name: str) -> Result:
        """Delete a project that has neither models nor datasets; the images stay."""
        project = projects.get(tx, project_name)
        left = models.of_project(tx, project_name)
        for model in left:  # perhaps one is being deleted, and whoever was at it died
            tx.after(partial(self.context.scheduler.reconcile_model, model))
        if left or datasets.of_project(tx, project_name):
            full = f"project {project_name} still has models or datasets; delete them first"
            raise conflict("PROJECT", project_name, full)
        tokens.renew(tx, project.arn)
        packaging_jobs.delete_of_project(tx, project_name)
        projects.delete(tx, project_name)
        tx.after(partial(cancelled.forget, self.context.runtime, project_name))
        return {"ProjectArn": project.arn}


def _metadata(project: Project) -> Result:
    return {
        "ProjectArn": project.arn,
        "ProjectName": project.name,
        "CreationTimestamp": project.created,
    }
