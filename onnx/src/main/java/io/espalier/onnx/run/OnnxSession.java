package io.espalier.onnx.run;

import ai.onnxruntime.NodeInfo;
import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.OrtSession.SessionOptions;
import ai.onnxruntime.OrtSession.SessionOptions.OptLevel;
import ai.onnxruntime.TensorInfo;

import com.google.protobuf.CodedOutputStream;

import io.espalier.onnx.model.FunctionSizes;
import io.espalier.onnx.model.OnnxGraph;
import io.espalier.onnx.model.OnnxModel;
import io.espalier.onnx.proto.ModelProto;
import io.espalier.state.AtomicFile;
import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Needed;
import io.espalier.tensor.TensorException;

import org.bytedeco.pytorch.Tensor;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/**
 * A model as ONNX Runtime runs it on this machine's processor: what a written file will do where it
 * is deployed.
 *
 * <p>Safe to run from several threads, and to close meanwhile: what runs ends, what comes later is
 * refused. Inputs are read where they lie, results are tensors of the caller's {@code
 * PointerScope}.
 */
public final class OnnxSession implements RunningModel {
    private static final String NO_SUCH_ROW = "indices element out of data bounds";

    private final OrtEnvironment environment;
    private final OrtSession session;
    private final Set<String> results;

    /** Runs share it; closing waits for them, since the runtime does not. */
    private final ReadWriteLock use = new ReentrantReadWriteLock();

    private boolean closed;

    private OnnxSession(OrtEnvironment environment, OrtSession session, Set<String> results) {
        this.environment = environment;
        this.session = session;
        this.results = results;
    }

    /** Opens a model with as many threads as there are cores. */
    public static OnnxSession open(OnnxModel model) {
        return open(model, settings -> settings);
    }

    /**
     * Opens a model. The least integer divided by -1 is itself, as in two's complement.
     *
     * @throws EspalierException if ONNX Runtime refuses it, or would end the process; the message
     *     has the reason
     */
    public static OnnxSession open(OnnxModel model, UnaryOperator<SessionSettings> how) {
        Needed.of(model, "the model");
        SessionSettings settings = Needed.from(how, SessionSettings.DEFAULT, "the settings");
        FunctionSizes.requireBounded(model);
        NoGroups.requireNone(model);
        OrtEnvironment environment = RuntimeEnvironment.get();
        OnnxModel wrapping = WrappingDivisions.of(model);
        OnnxModel tapped = settings.taps().isEmpty() ? wrapping : tapped(wrapping, settings.taps());
        var results = new LinkedHashSet<String>();
        tapped.graph().outputs().forEach(output -> results.add(output.getName()));
        try (var options = new SessionOptions()) {
            if (settings.sharing() && RuntimeEnvironment.sharesThreads()) {
                options.disablePerSessionThreads();
            } else {
                options.setIntraOpNumThreads(settings.threads());
            }
            if (settings.profiling()) {
                options.enableProfiling(OperatorTimes.temporaryFile());
            }
            options.setOptimizationLevel(settings.optimized() ? OptLevel.ALL_OPT : OptLevel.NO_OPT);
            if (CapturedValues.areOfIntegers(tapped)) {
                options.addConfigEntry("session.disable_quant_qdq", "1");
            }
            options.setSessionLogLevel(OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL);
            return new OnnxSession(environment, create(tapped, options), results);
        } catch (OrtException e) {
            throw refused("ONNX Runtime refuses the model: ", e);
        }
    }

    private static OnnxModel tapped(OnnxModel model, Set<String> taps) {
        return model.rewritten(graph -> taps.forEach(value -> tap(graph, value)));
    }

    private static void tap(OnnxGraph graph, String value) {
        if (graph.producer(value) == null) {
            throw new EspalierException(
                    "No node makes the value '"
                            + value
                            + "'; only what a node makes can be tapped.");
        }
        graph.addOutput(value);
    }

    private static OrtSession create(OnnxModel model, SessionOptions options) throws OrtException {
        if (!model.fitsOneMessage()) {
            return createFromFile(model, options);
        }
        try (var arena = Arena.ofConfined()) {
            ModelProto proto = model.toProto();
            ByteBuffer bytes = arena.allocate(proto.getSerializedSize()).asByteBuffer();
            CodedOutputStream out = CodedOutputStream.newInstance(bytes);
            proto.writeTo(out);
            out.flush();
            return RuntimeEnvironment.get().createSession(bytes.rewind(), options);
        } catch (IOException e) {
            throw new EspalierException("Can't encode the model: " + e.getMessage(), e);
        }
    }

    /**
     * A model too large for one message goes by files, which the runtime has read when it is made.
     */
    private static OrtSession createFromFile(OnnxModel model, SessionOptions options)
            throws OrtException {
        try {
            Path folder = Files.createTempDirectory("espalier-model");
            Path file = folder.resolve("model.onnx");
            try {
                model.save(file);
                return RuntimeEnvironment.get().createSession(file.toString(), options);
            } finally {
                Files.deleteIfExists(file);
                Files.deleteIfExists(folder.resolve("model.onnx.data"));
                Files.delete(folder);
            }
        } catch (IOException e) {
            throw new EspalierException(
                    "Can't write the model for ONNX Runtime: " + AtomicFile.reason(e) + ".", e);
        }
    }

    /**
     * The results for these inputs, by name, taps last.
     *
     * @throws EspalierException if an input is missing, unknown, or not of the model's type or
     *     shape
     */
    @Override
    public Map<String, Tensor> run(Map<String, Tensor> inputs) {
        return run(inputs, results);
    }

    /**
     * Some of the results for these inputs, so that only they are held at once.
     *
     * @param some names of results or taps
     * @throws EspalierException if an input is missing, unknown, or not of the model's type or
     *     shape, or there is no such result
     */
    public Map<String, Tensor> run(Map<String, Tensor> inputs, Collection<String> some) {
        Needed.of(some, "the names of results");
        if (!results.isEmpty() && (some.isEmpty() || !results.containsAll(some))) {
            throw new EspalierException(
                    "The session gives " + results + "; asked for were " + some + ".");
        }
        return run(inputs, some, OnnxSession::copies);
    }

    @Override
    public void runOnly(Map<String, Tensor> inputs) {
        run(inputs, results, result -> Map.of());
    }

    private Map<String, Tensor> run(
            Map<String, Tensor> inputs,
            Collection<String> some,
            Function<OrtSession.Result, Map<String, Tensor>> read) {
        Needed.of(inputs, "the inputs");
        if (results.isEmpty()) {
            throw new EspalierException(
                    "The model has no outputs; there is nothing to run it for.");
        }
        use.readLock().lock();
        try {
            requireOpen();
            return runOpen(inputs, some, read);
        } finally {
            use.readLock().unlock();
        }
    }

    private void requireOpen() {
        if (closed) {
            throw new EspalierException("The session is closed; open another.");
        }
    }

    private Map<String, Tensor> runOpen(
            Map<String, Tensor> inputs,
            Collection<String> some,
            Function<OrtSession.Result, Map<String, Tensor>> read) {
        var values = new LinkedHashMap<String, OnnxTensor>();
        var lent = new ArrayList<Tensor>();
        try {
            requireNames(inputs);
            for (Map.Entry<String, Tensor> input : inputs.entrySet()) {
                Tensor plain = plain(input.getKey(), input.getValue());
                lent.add(plain);
                values.put(input.getKey(), RuntimeTensors.lend(environment, input.getKey(), plain));
            }
            try (OrtSession.Result result = session.run(values, new LinkedHashSet<>(some))) {
                return read.apply(result);
            }
        } catch (OrtException e) {
            throw String.valueOf(e.getMessage()).contains(NO_SUCH_ROW)
                    ? refused(
                            "The data ask for rows that the model has not, as tokens of another"
                                    + " tokenizer do: ",
                            e)
                    : refused("ONNX Runtime can't run the model: ", e);
        } finally {
            values.values().forEach(OnnxTensor::close);
            lent.forEach(Tensor::close);
        }
    }

    /** An input row by row, as the runtime reads it. */
    private static Tensor plain(String name, Tensor tensor) {
        try {
            return tensor.contiguous();
        } catch (RuntimeException e) {
            if (TensorException.lacksPlace(e)) {
                throw TensorException.in("The input '" + name + "'", e);
            }
            throw e;
        }
    }

    private static Map<String, Tensor> copies(OrtSession.Result result) {
        var tensors = new LinkedHashMap<String, Tensor>();
        for (Map.Entry<String, OnnxValue> value : result) {
            tensors.put(value.getKey(), RuntimeTensors.copy(value.getKey(), value.getValue()));
        }
        return tensors;
    }

    private void requireNames(Map<String, Tensor> inputs) {
        Set<String> wanted = session.getInputNames();
        if (!inputs.keySet().equals(wanted)) {
            throw new EspalierException(
                    "The model wants the inputs "
                            + wanted
                            + "; given were "
                            + inputs.keySet()
                            + ".");
        }
    }

    static EspalierException refused(String what, OrtException e) {
        return new EspalierException(what + reason(String.valueOf(e.getMessage())), e);
    }

    /** The first line, and those after it that say which extents of an input are others. */
    static String reason(String message) {
        String first = message.lines().findFirst().orElse("");
        String extents =
                message.lines()
                        .skip(1)
                        .map(String::strip)
                        .filter(line -> line.startsWith("index:"))
                        .map(line -> line.replaceAll("\\s+", " "))
                        .collect(Collectors.joining("; "));
        return extents.isEmpty() ? first : first.strip() + ": " + extents;
    }

    /** Ends the noting of times, and gives the file that they are in. */
    Path endProfiling() throws OrtException {
        return Path.of(session.endProfiling());
    }

    @Override
    public Map<String, Tensor> runTensors(Map<String, Tensor> inputs) {
        return run(inputs, tensors());
    }

    /**
     * The names of the results and taps that are tensors of numbers; others are texts, lists, maps.
     */
    public List<String> tensors() {
        use.readLock().lock();
        try {
            requireOpen();
            Map<String, NodeInfo> known = session.getOutputInfo();
            return results.stream()
                    .filter(name -> {
                        NodeInfo info = known.get(name);
                        return info != null
                                && info.getInfo() instanceof TensorInfo tensor
                                && tensor.type != OnnxJavaType.STRING;
                    })
                    .toList();
        } catch (OrtException e) {
            throw refused("ONNX Runtime can't describe the model's results: ", e);
        } finally {
            use.readLock().unlock();
        }
    }

    /** The names of what it is given. */
    public List<String> inputs() {
        return List.copyOf(session.getInputNames());
    }

    /** Closes it, once, when what runs has ended; nothing happens when it is closed again. */
    @Override
    public void close() {
        use.writeLock().lock();
        try {
            if (!closed) {
                closed = true;
                session.close();
            }
        } catch (OrtException e) {
            throw refused("ONNX Runtime can't close the model: ", e);
        } finally {
            use.writeLock().unlock();
        }
    }
}
