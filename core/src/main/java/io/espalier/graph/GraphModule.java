package io.espalier.graph;

import io.espalier.nn.Module;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;

import org.bytedeco.pytorch.Tensor;
import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SequencedMap;
import java.util.Set;

/**
 * A module that computes what a {@link Graph} says. Its children stand at the paths that the graph
 * calls, so names of parameters are those of the model it was traced from.
 *
 * <p>Unlike a module of code, which may do anything, it can be read and rewritten as a whole.
 */
public final class GraphModule extends Module {
    private static final String EXAMPLE = "the example";

    private final Graph graph;
    private volatile @Nullable Program program;
    private final List<@Nullable Module> owners;

    /**
     * A module of a graph and of what it calls.
     *
     * @param modules by dotted path: all that the graph calls or takes tensors from, others are
     *     left out; the empty path gives its tensors to the new module itself
     * @throws EspalierException if a path is missing
     */
    public GraphModule(Graph graph, Map<String, Module> modules) {
        this.graph = Needed.of(graph, "the graph");
        Needed.of(modules, "the modules of the graph");
        Set<String> paths = graph.modulePaths();
        for (String path : paths) {
            if (!modules.containsKey(path)) {
                throw new EspalierException(
                        "The graph uses '"
                                + path
                                + "', which is not among its modules: "
                                + String.join(", ", modules.keySet())
                                + ".");
            }
        }
        Set<String> called = called(graph);
        Set<String> placed = new LinkedHashSet<>();
        modules.keySet().forEach(path -> placed.addAll(outerFirst(path, modules.keySet())));
        for (String path : placed) {
            Module module = Objects.requireNonNull(modules.get(path));
            if (path.isEmpty()) {
                adopt(module);
                takeAttachments(module);
            } else if (paths.contains(path) || isAbove(path, paths)) {
                // What another graph module holds below a place comes by its own path.
                place(path, module instanceof Container ? Container.of(module) : module, called);
            }
        }
        this.owners = new ArrayList<>();
        for (Node node : graph.nodes()) {
            owners.add(node.modulePath().map(this::module).orElse(null));
        }
        training(false);
    }

    /** A path after those of the modules around it, in whatever order they are used. */
    private static List<String> outerFirst(String path, Set<String> known) {
        List<String> all = new ArrayList<>();
        for (int dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', dot + 1)) {
            if (known.contains(path.substring(0, dot))) {
                all.add(path.substring(0, dot));
            }
        }
        all.add(path);
        return all;
    }

    private static boolean isAbove(String path, Set<String> paths) {
        return paths.stream().anyMatch(used -> used.startsWith(path + "."));
    }

    private void place(String path, Module module, Set<String> called) {
        Module parent = this;
        int from = 0;
        for (int dot = path.indexOf('.'); dot >= 0; dot = path.indexOf('.', from)) {
            String name = path.substring(from, dot);
            Module child = parent.namedChildren().get(name);
            parent = child == null ? parent.add(name, new Container()) : child;
            from = dot + 1;
        }
        if (from > 0 && called.contains(path.substring(0, from - 1))) {
            throw new EspalierException(
                    "The graph calls '"
                            + path.substring(0, from - 1)
                            + "' as a whole, since what its code does can't be part of a graph, and"
                            + " its '"
                            + path.substring(from)
                            + "' by itself; put what both use beside them, not into one.");
        }
        parent.add(path.substring(from), module);
    }

    /**
     * Runs a model and writes down what it calls: layers with parameters as single nodes, all else
     * (a ReLU, a user's own module) as the functions of {@link io.espalier.nn.Functional} that it
     * calls. A module is a single node too, called as it is, where it computes in another way,
     * changes a tensor in place, only looks at its input, or has hooks.
     *
     * <p>The program is then held against the model on a second input of other numbers and another
     * batch. Sizes that the model's code reads off its tensors are held as expressions, so that a
     * reshape fits other batches too; where a size can't change, the program says so. What a model
     * does by the numbers in a tensor can't be part of it; put into a module of its own such code
     * is called as it is.
     *
     * <p>The new module shares the model's tensors, and stays as it is when layers of the model are
     * replaced. A module without tensors or children is the model's own. Hooks of the modules that
     * it calls, and of the model itself, go on seeing calls.
     *
     * @param example what the model is called with, so many tensors as it takes
     * @throws EspalierException if the model is in training mode, hands a call a tensor that no
     *     recorded call made or that was changed in place, or does something else with the second
     *     input; the message names the line
     */
    public static GraphModule trace(Module model, Tensor... example) {
        requireInference(model);
        return new Tracing(model, Needed.all(example, EXAMPLE)).trace();
    }

    /**
     * As {@link #trace(Module, Tensor...)}, with a say in which sizes may change from call to call.
     * Without it the first dimension is free, and others where the program holds numbers that
     * depend on them, as far as the model takes other sizes.
     *
     * @throws EspalierException as there, and if the model takes no other size of a named dimension
     *     or what it does there does not follow from the sizes
     */
    public static GraphModule trace(Module model, List<Tensor> example, FreeDimensions free) {
        requireInference(model);
        return new Tracing(model, Needed.all(example, EXAMPLE))
                .trace(Needed.of(free, "the free dimensions"));
    }

    private static void requireInference(Module model) {
        if (Needed.of(model, "the model to trace").isTraining()) {
            throw new EspalierException(
                    "Tracing needs a model in inference mode; call eval() first.");
        }
    }

    /** A graph over aliases of the modules it calls; of the others it needs only the tensors. */
    static GraphModule of(Graph graph, Module model, Map<String, Tensor> constants) {
        Set<String> called = called(graph);
        SequencedMap<String, Module> modules = new LinkedHashMap<>();
        model.namedModules()
                .forEach((path, module) ->
                        modules.put(
                                path,
                                !called.contains(path)
                                        ? Container.of(module)
                                        : isBare(module) ? module : module.alias()));
        Module itself = Container.of(model);
        constants.forEach((name, tensor) -> itself.addBuffer(name, new Tensor(tensor)));
        modules.put("", itself);
        return new GraphModule(graph, modules);
    }

    private static Set<String> called(Graph graph) {
        Set<String> called = new HashSet<>();
        for (Node node : graph.nodes()) {
            if (node instanceof Node.ModuleCall call) {
                called.add(call.path());
            }
        }
        return called;
    }

    /**
     * Whether a module is nothing but its code and its fields, as one that watches or counts is:
     * then the graph calls the model's own.
     */
    private static boolean isBare(Module module) {
        return !module.isAtomic()
                && module.namedChildren().isEmpty()
                && module.ownParameters().isEmpty()
                && module.ownBuffers().isEmpty();
    }

    /** The program. */
    public Graph graph() {
        return graph;
    }

    /** The modules that the graph calls, by path. */
    public SequencedMap<String, Module> modules() {
        SequencedMap<String, Module> modules = new LinkedHashMap<>();
        graph.modulePaths().forEach(path -> modules.put(path, module(path)));
        return modules;
    }

    @Override
    protected List<Tensor> forwardAll(List<Tensor> inputs) {
        return run(inputs, null);
    }

    List<Tensor> run(List<Tensor> inputs, @Nullable StepWatcher watcher) {
        if (inputs.size() != graph.inputs().size()) {
            throw new EspalierException(
                    "The graph takes "
                            + graph.inputs()
                            + "; it was called with "
                            + inputs.size()
                            + " tensors.");
        }
        return program().run(inputs, owners, watcher);
    }

    /** The program made ready, which is done when it is first run. */
    private Program program() {
        Program ready = program;
        if (ready == null) {
            ready = new Program(graph, owners);
            program = ready;
        }
        return ready;
    }
}
