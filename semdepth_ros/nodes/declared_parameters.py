"""A parameter table declared on a node, and its valid values."""
from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter as RosParameter

from semdepth_ros.bridge.parameters import CONFIGURE, START, Parameter


class DeclaredParameters:
    """Declares a table on a node and checks every change; read values with parameters['name'], from any thread.

    Nothing is done when a parameter changes: whoever uses one reads it anew, so that checking has no side effects.

    :param is_configured: returns whether the node holds on to what it read when it was configured
    :raises ValueError: a value given at start is not valid
    """

    def __init__(self, node: Node, table: Collection[Parameter], is_configured: Callable[[], bool]):
        self._node, self._table, self._is_configured = node, {p.name: p for p in table}, is_configured
        node.add_on_set_parameters_callback(self._check)
        for parameter in table:
            try:
                node.declare_parameter(parameter.name, parameter.default, _descriptor(parameter))
            except ParameterException as error:
                raise ValueError(f'parameter {parameter.name}: {error}') from error

    def __getitem__(self, name: str) -> Any:
        """Return a parameter's value in the type of its table."""
        return self._table[name].validated(self._node.get_parameter(name).value)

    def _check(self, changes: list[RosParameter]) -> SetParametersResult:
        for change in changes:
            parameter = self._table.get(change.name)
            if parameter is None:
                continue
            try:
                value = parameter.validated(change.value)
            except ValueError as error:
                return SetParametersResult(successful=False, reason=str(error))
            held = parameter.change == CONFIGURE and self._node.has_parameter(change.name) and self._is_configured()
            if held and value != self[change.name]:
                reason = f'{change.name} is read when the node is configured: clean it up first'
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)


def _descriptor(parameter: Parameter) -> ParameterDescriptor:
    """Return the description for rclpy; numbers with a fraction are typed by the table, so that 80 will do for 80.0."""
    kind = type(parameter.default)
    descriptor = ParameterDescriptor(description=parameter.description, read_only=parameter.change == START,
                                     additional_constraints=parameter.range_text, dynamic_typing=kind is float)
    if parameter.maximum is not None:
        bounds = {'from_value': kind(parameter.minimum), 'to_value': kind(parameter.maximum)}
        if kind is int:
            descriptor.integer_range = [IntegerRange(**bounds)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(**bounds)]
    return descriptor
