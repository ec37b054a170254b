package io.espalier.quant.observer;

import io.espalier.tensor.EspalierException;
import io.espalier.tensor.Tensors;

import org.bytedeco.pytorch.Tensor;

import java.util.ArrayList;
import java.util.List;

/**
 * Keeps the latest batches themselves, up to a limit, for a look at what went through a place:
 * PyTorch's {@code RecordingObserver}, which has no limit. What it keeps is not saved with the
 * model.
 */
public class RecordingObserver extends UnscaledObserver {
    private static final int LIMIT = 100;

    private final int limit;
    private List<Tensor> recorded = List.of();

    /** An observer with these settings that keeps 100 batches. */
    public RecordingObserver(ObserverSettings settings) {
        this(settings, LIMIT);
    }

    /**
     * An observer with these settings.
     *
     * @param limit how many batches it keeps
     * @throws EspalierException if that is not positive
     */
    public RecordingObserver(ObserverSettings settings, int limit) {
        super(settings);
        if (limit < 1) {
            throw new EspalierException(
                    typeName() + " needs a limit of at least 1 batch; got " + limit + ".");
        }
        this.limit = limit;
    }

    /** The default settings, to change and to make observers of. */
    public static ObserverSettings with() {
        return with(LIMIT);
    }

    /** The default settings, with the number of batches to keep. */
    public static ObserverSettings with(int limit) {
        return ObserverSettings.of(settings -> new RecordingObserver(settings, limit));
    }

    /** The latest batches, oldest first: copies, as floats. */
    public final List<Tensor> recorded() {
        return recorded;
    }

    @Override
    protected void observe(Tensor x) {
        keep(List.of(Tensors.keep(x.clone())));
    }

    private void keep(List<Tensor> more) {
        List<Tensor> all = new ArrayList<>(recorded);
        all.addAll(more);
        recorded = List.copyOf(all.subList(Math.max(0, all.size() - limit), all.size()));
    }

    @Override
    public boolean hasObserved() {
        return !recorded.isEmpty();
    }

    @Override
    public Runnable keepState() {
        Runnable more = super.keepState();
        List<Tensor> kept = recorded;
        return () -> {
            more.run();
            recorded = kept;
        };
    }

    @Override
    public void reset() {
        recorded = List.of();
    }

    @Override
    protected void mergeObserved(Observer other) {
        keep(((RecordingObserver) other).recorded);
    }
}
